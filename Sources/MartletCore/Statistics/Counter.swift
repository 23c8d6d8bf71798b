import Synchronization

/// A number that one thread writes and any thread reads: no lock, no read-modify-write cycle on the bus.
public final class Counter: Sendable {
  @usableFromInline let cell = Atomic<UInt64>(0)

  public init() {}

  @inlinable
  public func add(_ amount: UInt64 = 1) {
    cell.store(cell.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
  }

  @inlinable
  public func set(_ value: UInt64) { cell.store(value, ordering: .relaxed) }

  @inlinable
  public var value: UInt64 { cell.load(ordering: .relaxed) }
}
