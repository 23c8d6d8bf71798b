import Histogram

/// A histogram of durations, boiled down to what a report shows; nanoseconds.
public struct Distribution: Sendable, Equatable {
  /// The percentiles that every report shows.
  public static let ranks: [Double] = [50, 75, 90, 95, 99, 99.9, 99.99]

  public struct Percentile: Sendable, Equatable {
    /// 0...100.
    public var rank: Double
    public var nanoseconds: UInt64

    public init(rank: Double, nanoseconds: UInt64) {
      self.rank = rank
      self.nanoseconds = nanoseconds
    }

    /// `p99.9` for 99.9.
    public var name: String { Distribution.name(ofRank: rank) }
  }

  public var count: UInt64
  public var minimum: UInt64
  public var mean: Double
  public var maximum: UInt64
  public var percentiles: [Percentile]

  public init(count: UInt64, minimum: UInt64, mean: Double, maximum: UInt64, percentiles: [Percentile]) {
    self.count = count
    self.minimum = minimum
    self.mean = mean
    self.maximum = maximum
    self.percentiles = percentiles
  }

  /// - Parameter extra: ranks beside the usual ones, those that an objective names.
  init(_ histogram: Histogram<UInt64>, extra: [Double] = []) {
    count = histogram.totalCount
    minimum = histogram.min
    mean = histogram.mean
    maximum = histogram.maxRecorded
    let ranks = Set(Self.ranks + extra).sorted()
    percentiles =
      count == 0 ? [] : ranks.map { Percentile(rank: $0, nanoseconds: histogram.valueAtPercentile($0)) }
  }

  /// The value at `rank`; nil when nothing was recorded or the rank was not asked for.
  public func value(at rank: Double) -> UInt64? { percentiles.first { $0.rank == rank }?.nanoseconds }

  static func name(ofRank rank: Double) -> String {
    rank == rank.rounded() ? "p\(Int(rank))" : "p\(rank)"
  }
}
