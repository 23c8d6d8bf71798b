import MartletCore

/// One tensor of an inference, its elements as raw little-endian bytes.
///
/// Text (`BYTES`) elements are each a u32 length and as many bytes. Source: Open Inference Protocol v2, "Raw tensor
/// contents".
public struct InferTensor: Sendable, Equatable {
  public var name: String
  /// `FP32`, `INT64`, `BYTES` and so on.
  public var datatype: String
  /// `[rows, …]`.
  public var shape: [Int64]
  public var contents: [UInt8]

  public init(name: String, datatype: String, shape: [Int64], contents: [UInt8]) {
    self.name = name
    self.datatype = datatype
    self.shape = shape
    self.contents = contents
  }

  /// A tensor of numbers.
  public init<Number: BitwiseCopyable>(name: String, type: ElementType, shape: [Int64], values: [Number]) {
    self.init(
      name: name, datatype: type.datatype, shape: shape, contents: values.withUnsafeBytes { Array($0) })
  }

  /// A tensor of texts.
  public init(name: String, shape: [Int64], texts: [String]) {
    var contents: [UInt8] = []
    for text in texts { InferTensor.append(Array(text.utf8), to: &contents) }
    self.init(name: name, datatype: ElementType.text.datatype, shape: shape, contents: contents)
  }

  static func append(_ element: [UInt8], to contents: inout [UInt8]) {
    withUnsafeBytes(of: UInt32(element.count).littleEndian) { contents.append(contentsOf: $0) }
    contents.append(contentsOf: element)
  }
}

/// Tensors for one model (inference.GRPCInferenceService/ModelInfer).
public struct ModelInferRequest: Sendable, Equatable, OutgoingMessage {
  public var model: String
  /// Empty: the version that serves.
  public var version: String
  /// Comes back in the response.
  public var id: String
  public var inputs: [InferTensor]
  /// Names of the outputs that are wanted; empty: all.
  public var outputs: [String]
  /// 1 is the highest; 0 takes the server's default.
  public var priority: UInt64

  public init(
    model: String, version: String = "", id: String = "", inputs: [InferTensor], outputs: [String] = [],
    priority: UInt64 = 0
  ) {
    self.model = model
    self.version = version
    self.id = id
    self.inputs = inputs
    self.outputs = outputs
    self.priority = priority
  }

  public func write(into writer: inout ProtobufWriter) {
    writer.string(1, model)
    writer.string(2, version)
    writer.string(3, id)
    if priority > 0 {
      writer.message(4) {
        $0.string(1, "priority")
        $0.message(2) { $0.unsigned(5, priority) }
      }
    }
    for input in inputs {
      writer.message(5) {
        $0.string(1, input.name)
        $0.string(2, input.datatype)
        $0.packed(3, input.shape)
      }
    }
    for output in outputs { writer.message(6) { $0.string(1, output) } }
    for input in inputs { writer.entry(7, input.contents) }
  }
}

/// The tensors that a model answered.
public struct ModelInferResponse: Sendable, Equatable {
  public var model = ""
  public var version = ""
  public var id = ""
  public var outputs: [InferTensor] = []

  public init() {}
}

extension ModelInferResponse: IncomingMessage {
  public init(reading reader: inout ProtobufReader) throws(MessageError) {
    var raw: [[UInt8]] = []
    while try reader.next() {
      switch reader.field {
      case 1: model = try reader.string()
      case 2: version = try reader.string()
      case 3: id = try reader.string()
      case 5:
        var nested = try reader.message()
        outputs.append(try InferTensor(reading: &nested))
      case 6: raw.append(try reader.byteArray())
      default: try reader.skip()
      }
    }
    guard !raw.isEmpty else { return }
    guard raw.count == outputs.count else {
      throw MessageError("an inference has \(raw.count) raw contents for \(outputs.count) outputs")
    }
    for (index, contents) in raw.enumerated() { outputs[index].contents = contents }
  }
}

extension InferTensor: IncomingMessage {
  public init(reading reader: inout ProtobufReader) throws(MessageError) {
    self.init(name: "", datatype: "", shape: [], contents: [])
    var typed: [Int64] = []
    while try reader.next() {
      switch reader.field {
      case 1: name = try reader.string()
      case 2: datatype = try reader.string()
      case 3: try reader.append(to: &shape)
      case 5:
        var nested = try reader.message()
        try readTyped(&nested, integers: &typed)
      default: try reader.skip()
      }
    }
    guard !typed.isEmpty else { return }
    guard let width = ElementType(datatype: datatype)?.byteWidth else {
      throw MessageError("output \"\(name)\" has the unknown datatype \"\(datatype)\"")
    }
    contents.reserveCapacity(typed.count * width)
    for number in typed {
      withUnsafeBytes(of: number.littleEndian) { contents.append(contentsOf: $0.prefix(width)) }
    }
  }

  /// Typed contents, for servers that answer typed what was asked raw: integers are returned, since their width is
  /// known only with the datatype; the others go straight into `contents`.
  private mutating func readTyped(
    _ reader: inout ProtobufReader, integers: inout [Int64]
  ) throws(MessageError) {
    while try reader.next() {
      switch reader.field {
      case 1, 2, 3, 4, 5: try reader.append(to: &integers)
      case 6:
        var values: [Float] = []
        try reader.append(to: &values)
        values.withUnsafeBytes { contents.append(contentsOf: $0) }
      case 7:
        var values: [Double] = []
        try reader.append(to: &values)
        values.withUnsafeBytes { contents.append(contentsOf: $0) }
      case 8: InferTensor.append(try reader.byteArray(), to: &contents)
      default: try reader.skip()
      }
    }
  }
}
