import Synchronization

/// Counts of observations in fixed buckets, written by one thread and read by any.
///
/// A reader may see an observation's bucket before its sum; scrapes bear that.
public final class BucketHistogram: Sendable {
  /// Upper bounds, ascending, inclusive; the last bucket, without a bound, is not listed.
  public let bounds: [UInt64]
  /// What an observation is multiplied by to be shown in base units: 1e-9 for nanoseconds shown as seconds.
  public let scale: Double
  private let counts: [Counter]
  private let total = Counter()

  public init(bounds: [UInt64], scale: Double) {
    self.bounds = bounds
    self.scale = scale
    counts = (0...bounds.count).map { _ in Counter() }
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
    var bucket = 0
    while bucket < bounds.count, value > bounds[bucket] { bucket += 1 }
    counts[bucket].add(times)
    total.add(value &* times)
  }

  /// Count of each bucket, the one without a bound last.
  public var bucketCounts: [UInt64] { counts.map(\.value) }
  /// Sum of all observations, unscaled.
  public var sum: UInt64 { total.value }
}
