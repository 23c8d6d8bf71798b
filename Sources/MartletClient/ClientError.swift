import MartletCore

/// Why a call has no answer.
public struct ClientError: Error, Sendable, Equatable {
  /// Who says so.
  public enum Origin: Sendable, Equatable {
    /// The server answered with this status.
    case server
    /// The server was not reached, or the connection to it ended before an answer.
    case connection
    /// This side: an argument, the deadline, a cancellation.
    case client
  }

  public var code: StatusCode
  /// For people: what came and what was expected.
  public var message: String
  /// URL of the server that the call went to, when it went to one.
  public var address: String?
  public var origin: Origin
  /// How long the server asks to be left alone before the call is tried again; nil when it says nothing about that.
  public var retryAfter: Duration?

  public init(_ code: StatusCode, _ message: String, address: String? = nil, origin: Origin = .client) {
    self.code = code
    self.message = message
    self.address = address
    self.origin = origin
  }
}

extension ClientError: CustomStringConvertible {
  public var description: String {
    "\(code.name): \(message)" + (address.map { " (\($0))" } ?? "")
  }
}
