import MartletCore

/// Asks what a model takes and gives (martlet.v1.Scoring/Describe).
public struct DescribeRequest: Sendable, Equatable, OutgoingMessage {
  public var model: String
  /// Empty: the version that serves.
  public var version: String

  public init(model: String, version: String = "") {
    self.model = model
    self.version = version
  }

  public func write(into writer: inout ProtobufWriter) {
    writer.string(1, model)
    writer.string(2, version)
  }
}

/// The type of a column or output, as the contract names it.
public enum ColumnType: Int32, Sendable, CaseIterable {
  /// Also any type that a newer server knows and this client does not.
  case unspecified = 0
  case double = 1
  case float = 2
  case integer = 3
  case text = 4
  case boolean = 5

  public var name: String {
    switch self {
    case .unspecified: "unspecified"
    case .double: "double"
    case .float: "float"
    case .integer: "integer"
    case .text: "text"
    case .boolean: "boolean"
    }
  }
}

/// A feature of a model.
public struct ColumnDescription: Sendable, Equatable {
  public var name: String
  public var type: ColumnType
  /// Whether a row may lack this value.
  public var missingAllowed: Bool
  /// The categories that the model knows of, where it says so.
  public var categories: ClassLabels?

  public init(name: String, type: ColumnType, missingAllowed: Bool, categories: ClassLabels? = nil) {
    self.name = name
    self.type = type
    self.missingAllowed = missingAllowed
    self.categories = categories
  }
}

/// What a model says about each row.
public struct OutputDescription: Sendable, Equatable {
  public var name: String
  public var type: ColumnType
  /// Values a row.
  public var width: Int
  /// "label", "probability", "value" or "other".
  public var role: String
  public var classes: ClassLabels?

  public init(name: String, type: ColumnType, width: Int, role: String, classes: ClassLabels? = nil) {
    self.name = name
    self.type = type
    self.width = width
    self.role = role
    self.classes = classes
  }
}

/// What a model takes and gives.
public struct DescribeResponse: Sendable, Equatable {
  public var model = ""
  public var version = ""
  /// The file's format, "onnx" for example.
  public var format = ""
  /// Hexadecimal SHA-256 of the model file.
  public var digest = ""
  /// Every version that is loaded.
  public var versions: [String] = []
  public var columns: [ColumnDescription] = []
  public var outputs: [OutputDescription] = []
  public var description = ""
  public var owner = ""

  public init() {}
}

extension DescribeResponse: IncomingMessage {
  public init(reading reader: inout ProtobufReader) throws(MessageError) {
    while try reader.next() {
      switch reader.field {
      case 1: model = try reader.string()
      case 2: version = try reader.string()
      case 3: format = try reader.string()
      case 4: digest = try reader.string()
      case 5: versions.append(try reader.string())
      case 6:
        var nested = try reader.message()
        columns.append(try ColumnDescription(reading: &nested))
      case 7:
        var nested = try reader.message()
        outputs.append(try OutputDescription(reading: &nested))
      case 8: description = try reader.string()
      case 9: owner = try reader.string()
      default: try reader.skip()
      }
    }
  }
}

/// Text and integer labels of one field pair; nil when neither has an entry.
private func labels(_ texts: [String], _ integers: [Int64]) -> ClassLabels? {
  integers.isEmpty ? texts.isEmpty ? nil : .text(texts) : .integer(integers)
}

extension ColumnDescription: IncomingMessage {
  public init(reading reader: inout ProtobufReader) throws(MessageError) {
    self.init(name: "", type: .unspecified, missingAllowed: false)
    var texts: [String] = []
    var integers: [Int64] = []
    while try reader.next() {
      switch reader.field {
      case 1: name = try reader.string()
      case 2: type = ColumnType(rawValue: try reader.int32()) ?? .unspecified
      case 3: missingAllowed = try reader.bool()
      case 4: texts.append(try reader.string())
      case 5: try reader.append(to: &integers)
      default: try reader.skip()
      }
    }
    categories = labels(texts, integers)
  }
}

extension OutputDescription: IncomingMessage {
  public init(reading reader: inout ProtobufReader) throws(MessageError) {
    self.init(name: "", type: .unspecified, width: 0, role: "")
    var texts: [String] = []
    var integers: [Int64] = []
    while try reader.next() {
      switch reader.field {
      case 1: name = try reader.string()
      case 2: type = ColumnType(rawValue: try reader.int32()) ?? .unspecified
      case 3: width = Int(try reader.uint32())
      case 4: role = try reader.string()
      case 5: texts.append(try reader.string())
      case 6: try reader.append(to: &integers)
      default: try reader.skip()
      }
    }
    classes = labels(texts, integers)
  }
}
