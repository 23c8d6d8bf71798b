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

  /// Control characters of `message`, which may quote what a caller has sent, are written as `\u{…}`: a NUL would end
  /// the text for a client in C, a line break would end a line of a log.
  public init(_ code: StatusCode, _ message: String, retryNanoseconds: UInt64 = 0) {
    self.code = code
    self.message = message.utf8.contains(where: Self.isControl) ? Self.escaped(message) : message
    self.retryNanoseconds = retryNanoseconds
  }

  private static func isControl(_ byte: UInt8) -> Bool { byte < 0x20 || byte == 0x7f }

  private static func escaped(_ message: String) -> String {
    message.unicodeScalars.reduce(into: "") { text, scalar in
      if scalar.isASCII, isControl(UInt8(scalar.value)) {
        text += "\\u{\(String(scalar.value, radix: 16))}"
      } else {
        text.unicodeScalars.append(scalar)
      }
    }
  }
}

extension Status: CustomStringConvertible {
  public var description: String { "\(code.name): \(message)" }
}
