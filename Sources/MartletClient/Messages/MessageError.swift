/// A message that a peer sent and that does not say what its contract allows.
public struct MessageError: Error, Sendable, Equatable, CustomStringConvertible {
  /// For people: names the field, what came and what was expected.
  public var description: String

  public init(_ description: String) { self.description = description }
}
