import MartletCore
import Synchronization

/// Bytes that all requests of a server may hold together; asked before memory is taken. Any thread.
public final class MemoryBudget: MetricSource {
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

  /// A negative number is memory that was not asked for, because it could not be known before.
  public func giveBack(_ bytes: Int) { taken.subtract(bytes, ordering: .relaxed) }

  public func collect(into collector: inout MetricCollector) {
    collector.gauge(
      "martlet_request_memory_bytes", help: "Memory of the rows and texts of calls, free batches included.",
      Double(takenBytes))
    collector.gauge(
      "martlet_request_memory_limit_bytes", help: "Memory from which calls are refused.", Double(limitBytes))
  }
}
