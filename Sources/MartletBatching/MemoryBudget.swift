import Synchronization

/// Bytes that all requests of a server may hold together; asked before memory is taken. Any thread.
public final class MemoryBudget: Sendable {
  public let limitBytes: Int
  private let taken = Atomic<Int>(0)

  public init(limitBytes: Int) { self.limitBytes = limitBytes }

  public var takenBytes: Int { taken.load(ordering: .relaxed) }

  /// Whether `bytes` more were granted.
  public func take(_ bytes: Int) -> Bool {
    let (_, now) = taken.add(bytes, ordering: .relaxed)
    guard now > limitBytes else { return true }
    taken.subtract(bytes, ordering: .relaxed)
    return false
  }

  public func giveBack(_ bytes: Int) { taken.subtract(bytes, ordering: .relaxed) }
}
