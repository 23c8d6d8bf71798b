/// Names a call from outside its reactor: a value that stays valid as a name after the call is gone.
///
/// Whoever completes a call presents its id; an id whose connection has been replaced is dropped.
@frozen
public struct CallID: Hashable, Sendable {
  public var reactor: UInt16
  /// Slot of the connection in its reactor.
  public var connection: UInt32
  /// How often the slot had been used before this connection.
  public var generation: UInt32
  public var stream: UInt32
  /// Entry in its reactor's table of calls, so that finding a call costs no search.
  public var entry: UInt32

  @inlinable
  public init(reactor: UInt16, connection: UInt32, generation: UInt32, stream: UInt32, entry: UInt32) {
    self.reactor = reactor
    self.connection = connection
    self.generation = generation
    self.stream = stream
    self.entry = entry
  }
}
