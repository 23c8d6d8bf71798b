/// What a run must keep: `p99=2ms,errors=0.1%`.
///
/// Every bound is an upper bound. `pNN` (any rank, `p99.95` too), `mean` and `max` bound the latency from the scheduled
/// send; `errors` bounds the share of calls that were not answered OK, as a percentage or as a part of 1.
public struct ServiceLevelObjective: Sendable, Equatable {
  public enum Measure: Sendable, Equatable {
    /// 0...100.
    case percentile(Double)
    case mean
    case maximum
    case errors

    public var name: String {
      switch self {
      case .percentile(let rank): Distribution.name(ofRank: rank)
      case .mean: "mean"
      case .maximum: "max"
      case .errors: "errors"
      }
    }
  }

  public struct Bound: Sendable, Equatable {
    public var measure: Measure
    /// Nanoseconds; for errors a part of 1.
    public var limit: Double

    public init(_ measure: Measure, limit: Double) {
      self.measure = measure
      self.limit = limit
    }
  }

  /// One bound beside what was measured.
  public struct Verdict: Sendable, Equatable {
    public var bound: Bound
    /// Nil when the run has no such figure: then the bound is missed.
    public var measured: Double?
    public var isKept: Bool { measured.map { $0 <= bound.limit } ?? false }
  }

  /// Says which part of the text is wrong, and what is expected there.
  public struct SyntaxError: Error, Sendable, Equatable, CustomStringConvertible {
    public var description: String
  }

  public var bounds: [Bound]

  public init(_ text: String) throws(SyntaxError) {
    bounds = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let part = part.drop { $0 == " " }
      guard let equals = part.firstIndex(of: "=") else {
        throw SyntaxError(description: "\"\(part)\" has no \"=\"; an objective is written like p99=2ms,errors=0.1%")
      }
      let (name, value) = (part[..<equals], part[part.index(after: equals)...])
      let bound = Bound(try Self.measure(name), limit: 0)
      guard !bounds.contains(where: { $0.measure == bound.measure }) else {
        throw SyntaxError(description: "\"\(name)\" is bounded twice")
      }
      bounds.append(Bound(bound.measure, limit: try Self.limit(value, of: bound.measure)))
    }
  }

  private static func measure(_ name: Substring) throws(SyntaxError) -> Measure {
    switch name {
    case "mean": return .mean
    case "max": return .maximum
    case "errors": return .errors
    default:
      guard name.first == "p", let rank = DecimalText.value(name.dropFirst()), rank > 0, rank <= 100 else {
        throw SyntaxError(
          description: "\"\(name)\" is no measure; expected p followed by a rank above 0 up to 100, mean, max or errors"
        )
      }
      return .percentile(rank)
    }
  }

  private static func limit(_ value: Substring, of measure: Measure) throws(SyntaxError) -> Double {
    if measure == .errors {
      let isPercentage = value.last == "%"
      guard let number = DecimalText.value(isPercentage ? value.dropLast() : value),
        number <= (isPercentage ? 100 : 1)
      else {
        throw SyntaxError(description: "errors is \"\(value)\"; expected a share like 0.1% or 0.001")
      }
      return isPercentage ? number / 100 : number
    }
    guard let nanoseconds = DurationText.nanoseconds(value) else {
      throw SyntaxError(description: "\(measure.name) is \"\(value)\"; expected a duration like 250us, 2ms or 1.5s")
    }
    return Double(nanoseconds)
  }

  /// The ranks of all percentiles that are bounded.
  public var ranks: [Double] {
    bounds.compactMap { if case .percentile(let rank) = $0.measure { rank } else { nil } }
  }

  /// Holds each bound against a run.
  public func judge(_ report: LoadReport) -> [Verdict] {
    bounds.map { bound in
      let latency = report.latency
      let measured: Double? =
        switch bound.measure {
        case .percentile(let rank): latency.value(at: rank).map { Double($0) }
        case .mean: latency.count == 0 ? nil : latency.mean
        case .maximum: latency.count == 0 ? nil : Double(latency.maximum)
        case .errors: report.finished == 0 ? nil : report.errorShare
        }
      return Verdict(bound: bound, measured: measured)
    }
  }
}
