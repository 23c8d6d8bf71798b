/// Somebody who has numbers to show: every room's statistics conform; the exposition adds up what has the same
/// name and labels, so each reactor reports its own.
public protocol MetricSource: Sendable {
  /// Called on the scraping thread at any time.
  func collect(into collector: inout MetricCollector)
}

/// What one scrape gathers.
public struct MetricCollector {
  public enum Kind: String, Sendable {
    case counter
    case gauge
    case histogram
  }

  public enum Value: Sendable {
    case number(Double)
    /// Count of each bucket (the one without a bound last), not cumulative; `sum` in base units.
    case buckets(bounds: [Double], counts: [UInt64], sum: Double)
  }

  public struct Sample: Sendable {
    public var family: String
    public var help: String
    public var kind: Kind
    public var labels: [(name: String, value: String)]
    public var value: Value
  }

  public private(set) var samples: [Sample] = []

  public init() {}

  public mutating func counter(
    _ family: String, help: String, labels: [(name: String, value: String)] = [], _ value: UInt64
  ) {
    samples.append(Sample(family: family, help: help, kind: .counter, labels: labels, value: .number(Double(value))))
  }

  /// A counter that is not a whole number, seconds for example.
  public mutating func counter(
    _ family: String, help: String, labels: [(name: String, value: String)] = [], seconds value: Double
  ) {
    samples.append(Sample(family: family, help: help, kind: .counter, labels: labels, value: .number(value)))
  }

  public mutating func gauge(
    _ family: String, help: String, labels: [(name: String, value: String)] = [], _ value: Double
  ) {
    samples.append(Sample(family: family, help: help, kind: .gauge, labels: labels, value: .number(value)))
  }

  public mutating func histogram(
    _ family: String, help: String, labels: [(name: String, value: String)] = [], _ histogram: BucketHistogram
  ) {
    let bounds = histogram.bounds.map { Double($0) * histogram.scale }
    samples.append(
      Sample(
        family: family, help: help, kind: .histogram, labels: labels,
        value: .buckets(
          bounds: bounds, counts: histogram.bucketCounts, sum: Double(histogram.sum) * histogram.scale)))
  }
}
