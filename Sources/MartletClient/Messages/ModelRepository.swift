/// Asks which models the server knows (inference.GRPCInferenceService/RepositoryIndex).
public struct RepositoryIndexRequest: Sendable, Equatable, OutgoingMessage {
  /// Whether only models that are ready are wanted.
  public var onlyReady: Bool

  public init(onlyReady: Bool = false) { self.onlyReady = onlyReady }

  public func write(into writer: inout ProtobufWriter) { writer.bool(2, onlyReady) }
}

/// The models that the server knows.
public struct RepositoryIndexResponse: Sendable, Equatable, IncomingMessage {
  public struct Model: Sendable, Equatable {
    public var name = ""
    public var version = ""
    /// "READY", "UNAVAILABLE" and so on.
    public var state = ""
    /// Why it is not ready.
    public var reason = ""

    public init() {}
  }

  public var models: [Model] = []

  public init(reading reader: inout ProtobufReader) throws(MessageError) {
    while try reader.next() {
      guard reader.field == 1 else {
        try reader.skip()
        continue
      }
      var model = Model()
      var nested = try reader.message()
      while try nested.next() {
        switch nested.field {
        case 1: model.name = try nested.string()
        case 2: model.version = try nested.string()
        case 3: model.state = try nested.string()
        case 4: model.reason = try nested.string()
        default: try nested.skip()
        }
      }
      models.append(model)
    }
  }
}

/// Names a model to load or unload (RepositoryModelLoad, RepositoryModelUnload).
public struct RepositoryModelRequest: Sendable, Equatable, OutgoingMessage {
  public var model: String

  public init(model: String) { self.model = model }

  public func write(into writer: inout ProtobufWriter) { writer.string(2, model) }
}

/// An answer that says nothing but that the call succeeded.
public struct EmptyResponse: Sendable, Equatable, IncomingMessage {
  public init(reading reader: inout ProtobufReader) throws(MessageError) {
    while try reader.next() { try reader.skip() }
  }
}
