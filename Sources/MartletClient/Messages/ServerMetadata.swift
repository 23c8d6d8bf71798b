/// A request without fields (ServerLive, ServerReady, ServerMetadata).
public struct EmptyRequest: Sendable, Equatable, OutgoingMessage {
  public init() {}

  public func write(into writer: inout ProtobufWriter) {}
}

/// Yes or no (ServerLive, ServerReady, ModelReady).
public struct ReadyResponse: Sendable, Equatable, IncomingMessage {
  public var isReady = false

  public init(reading reader: inout ProtobufReader) throws(MessageError) {
    while try reader.next() {
      switch reader.field {
      case 1: isReady = try reader.bool()
      default: try reader.skip()
      }
    }
  }
}

/// Names a model (ModelReady, ModelMetadata).
public struct ModelRequest: Sendable, Equatable, OutgoingMessage {
  public var name: String
  /// Empty: the version that serves.
  public var version: String

  public init(name: String, version: String = "") {
    self.name = name
    self.version = version
  }

  public func write(into writer: inout ProtobufWriter) {
    writer.string(1, name)
    writer.string(2, version)
  }
}

/// Who the server is.
public struct ServerMetadataResponse: Sendable, Equatable, IncomingMessage {
  public var name = ""
  public var version = ""
  public var extensions: [String] = []

  public init(reading reader: inout ProtobufReader) throws(MessageError) {
    while try reader.next() {
      switch reader.field {
      case 1: name = try reader.string()
      case 2: version = try reader.string()
      case 3: extensions.append(try reader.string())
      default: try reader.skip()
      }
    }
  }
}

/// A model's tensors.
public struct ModelMetadataResponse: Sendable, Equatable, IncomingMessage {
  public struct Tensor: Sendable, Equatable {
    public var name = ""
    public var datatype = ""
    /// -1 where any number will do.
    public var shape: [Int64] = []

    public init() {}
  }

  public var name = ""
  public var versions: [String] = []
  public var platform = ""
  public var inputs: [Tensor] = []
  public var outputs: [Tensor] = []

  public init(reading reader: inout ProtobufReader) throws(MessageError) {
    while try reader.next() {
      switch reader.field {
      case 1: name = try reader.string()
      case 2: versions.append(try reader.string())
      case 3: platform = try reader.string()
      case 4:
        var nested = try reader.message()
        inputs.append(try Tensor(reading: &nested))
      case 5:
        var nested = try reader.message()
        outputs.append(try Tensor(reading: &nested))
      default: try reader.skip()
      }
    }
  }
}

extension ModelMetadataResponse.Tensor: IncomingMessage {
  public init(reading reader: inout ProtobufReader) throws(MessageError) {
    while try reader.next() {
      switch reader.field {
      case 1: name = try reader.string()
      case 2: datatype = try reader.string()
      case 3: try reader.append(to: &shape)
      default: try reader.skip()
      }
    }
  }
}
