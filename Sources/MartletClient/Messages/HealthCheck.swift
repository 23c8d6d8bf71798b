/// Asks whether the server, or one model of it, serves (grpc.health.v1.Health/Check).
public struct HealthCheckRequest: Sendable, Equatable, OutgoingMessage {
  /// Empty: the server as a whole.
  public var service: String

  public init(service: String = "") { self.service = service }

  public func write(into writer: inout ProtobufWriter) { writer.string(1, service) }
}

/// What the server says about its health.
public enum ServingStatus: Int32, Sendable {
  /// Also any status that this client does not know.
  case unknown = 0
  case serving = 1
  case notServing = 2
  case serviceUnknown = 3

  public var name: String {
    switch self {
    case .unknown: "UNKNOWN"
    case .serving: "SERVING"
    case .notServing: "NOT_SERVING"
    case .serviceUnknown: "SERVICE_UNKNOWN"
    }
  }
}

extension ServingStatus: IncomingMessage {
  public init(reading reader: inout ProtobufReader) throws(MessageError) {
    self = .unknown
    while try reader.next() {
      switch reader.field {
      case 1: self = ServingStatus(rawValue: try reader.int32()) ?? .unknown
      default: try reader.skip()
      }
    }
  }
}
