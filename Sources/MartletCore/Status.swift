/// The canonical status codes of gRPC, used on every protocol.
///
/// Source: grpc/grpc, `doc/statuscodes.md`.
public enum StatusCode: Int32, Sendable, CaseIterable {
  case ok = 0
  case cancelled = 1
  case unknown = 2
  case invalidArgument = 3
  case deadlineExceeded = 4
  case notFound = 5
  case alreadyExists = 6
  case permissionDenied = 7
  case resourceExhausted = 8
  case failedPrecondition = 9
  case aborted = 10
  case outOfRange = 11
  case unimplemented = 12
  case internalError = 13
  case unavailable = 14
  case dataLoss = 15
  case unauthenticated = 16

  /// The code's name as logs and metrics show it, `INVALID_ARGUMENT` for example.
  public var name: String {
    switch self {
    case .ok: "OK"
    case .cancelled: "CANCELLED"
    case .unknown: "UNKNOWN"
    case .invalidArgument: "INVALID_ARGUMENT"
    case .deadlineExceeded: "DEADLINE_EXCEEDED"
    case .notFound: "NOT_FOUND"
    case .alreadyExists: "ALREADY_EXISTS"
    case .permissionDenied: "PERMISSION_DENIED"
    case .resourceExhausted: "RESOURCE_EXHAUSTED"
    case .failedPrecondition: "FAILED_PRECONDITION"
    case .aborted: "ABORTED"
    case .outOfRange: "OUT_OF_RANGE"
    case .unimplemented: "UNIMPLEMENTED"
    case .internalError: "INTERNAL"
    case .unavailable: "UNAVAILABLE"
    case .dataLoss: "DATA_LOSS"
    case .unauthenticated: "UNAUTHENTICATED"
    }
  }
}

/// How a call ended when it did not end well: what a caller is told.
public struct Status: Error, Sendable, Equatable {
  public var code: StatusCode
  /// For people: names the field, what came and what was expected.
  public var message: String
  /// How long the caller should wait before it tries again, in nanoseconds; 0 when nothing is said about that.
  public var retryNanoseconds: UInt64

  public init(_ code: StatusCode, _ message: String, retryNanoseconds: UInt64 = 0) {
    self.code = code
    self.message = message
    self.retryNanoseconds = retryNanoseconds
  }
}

extension Status: CustomStringConvertible {
  public var description: String { "\(code.name): \(message)" }
}
