import Synchronization

/// Counts of observations in fixed buckets, written by one thread and read by any.
///
/// A reader may see an observation's bucket before its sum; scrapes bear that.
public final class BucketHistogram: Sendable {
  /// Upper bounds, ascending, inclusive; the last bucket, without a bound, is not listed.
  public let bounds: [UInt64]
  /// What an observation is multiplied by to be shown in base units: 1e-9 for nanoseconds shown as seconds.
  public let scale: Double
  /// The bounds, and behind them the counts and the sum, in memory of their own: an array's elements would be retained
  /// for every observation.
  private nonisolated(unsafe) let limits: UnsafeMutablePointer<UInt64>
  private nonisolated(unsafe) let counts: UnsafeMutablePointer<Atomic<UInt64>>
  private nonisolated(unsafe) let total: UnsafeMutablePointer<Atomic<UInt64>>
  /// The last value and its bucket, of the thread that writes: calls that were read and answered together took equally
  /// long.
  private nonisolated(unsafe) var lastValue: UInt64 = 0
  private nonisolated(unsafe) var lastBucket: UnsafeMutablePointer<Atomic<UInt64>>

  public init(bounds: [UInt64], scale: Double) {
    self.bounds = bounds
    self.scale = scale
    limits = .allocate(capacity: bounds.count + 1)
    counts = .allocate(capacity: bounds.count + 2)
    for index in 0..<bounds.count { (limits + index).initialize(to: bounds[index]) }
    (limits + bounds.count).initialize(to: .max)
    for index in 0..<(bounds.count + 2) { (counts + index).initialize(to: Atomic(0)) }
    total = counts + bounds.count + 1
    // 0 is in the first one, whatever the bounds are.
    lastBucket = counts
  }

  deinit {
    counts.deinitialize(count: bounds.count + 2)
    counts.deallocate()
    limits.deallocate()
  }

  /// Bounds for durations in nanoseconds, from 10 µs to 5 s; shown in seconds.
  public static func durations() -> BucketHistogram {
    BucketHistogram(
      bounds: [
        10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000, 20_000_000,
        50_000_000, 100_000_000, 200_000_000, 500_000_000, 1_000_000_000, 2_000_000_000, 5_000_000_000,
      ], scale: 1e-9)
  }

  /// Bounds for rows of a batch: powers of two up to 65,536.
  public static func rows() -> BucketHistogram {
    BucketHistogram(bounds: (0...16).map { 1 << $0 }, scale: 1)
  }

  public func observe(_ value: UInt64) { observe(value, times: 1) }

  public func observe(_ value: UInt64, times: UInt64) {
    if value != lastValue {
      var bucket = 0
      while value > limits[bucket] { bucket += 1 }
      lastValue = value
      lastBucket = counts + bucket
    }
    Self.add(times, to: lastBucket)
    Self.add(value &* times, to: total)
  }

  /// One thread writes, so that a load and a store do.
  @inline(__always)
  private static func add(_ amount: UInt64, to cell: UnsafeMutablePointer<Atomic<UInt64>>) {
    cell.pointee.store(cell.pointee.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
  }

  /// Count of each bucket, the one without a bound last.
  public var bucketCounts: [UInt64] { (0...bounds.count).map { counts[$0].load(ordering: .relaxed) } }
  /// Sum of all observations, unscaled.
  public var sum: UInt64 { total.pointee.load(ordering: .relaxed) }
}
