/// Why a model cannot be served: one message that names what is wrong, where, and what was expected.
public struct ModelError: Error, Sendable, Equatable, CustomStringConvertible {
  public let message: String

  public init(_ message: String) { self.message = message }

  public var description: String { message }
}
