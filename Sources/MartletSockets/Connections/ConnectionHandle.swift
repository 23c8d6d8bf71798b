/// Names a connection of one reactor: a value that stays valid as a name after the connection is gone.
///
/// Every use compares the generation, so a handle whose slot has been given to another connection does nothing.
@frozen
public struct ConnectionHandle: Hashable, Sendable {
  public let slot: UInt32
  public let generation: UInt32

  @inlinable
  public init(slot: UInt32, generation: UInt32) {
    self.slot = slot
    self.generation = generation
  }
}
