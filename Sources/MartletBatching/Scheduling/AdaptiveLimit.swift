import MartletCore

/// How many calls may be in flight before more of them only wait longer.
///
/// Latency is compared with what it was when little was in flight: as long as it is below `tolerance` times that, the
/// limit rises by its square root each window, above that it falls in proportion, never below a floor. From time to
/// time a window runs at the floor, to measure again what little is. A value that is told the time. Sources: Envoy's
/// adaptive concurrency filter (gradient controller) and brpc's automatic limiter.
struct AdaptiveLimit {
  struct Options: Sendable {
    /// Calls that are admitted whatever the latency is.
    var floor: Int
    /// Calls that are never exceeded.
    var ceiling: Int

    init(floor: Int, ceiling: Int) {
      self.floor = max(1, min(floor, ceiling))
      self.ceiling = max(1, ceiling)
    }
  }

  /// How much longer than unloaded a call may take before the limit falls.
  private static let tolerance = 2.0
  private static let windowNanoseconds: UInt64 = 100_000_000
  private static let windowCalls: UInt64 = 50
  /// Windows between two measurements of the unloaded latency.
  private static let windowsPerMeasurement = 300

  private let options: Options
  private(set) var limit: Int
  /// Mean nanoseconds of a call when little is in flight; 0 when it is not known.
  private(set) var unloaded = 0.0
  private var began = MonotonicTime(nanoseconds: 0)
  private var calls: UInt64 = 0
  private var sum: UInt64 = 0
  private var windows = 0
  private var isMeasuring = false
  private var limitBefore = 0

  init(_ options: Options) {
    self.options = options
    limit = options.ceiling
  }

  /// Calls that came at about the same time and have been answered.
  mutating func answered(calls more: UInt64, latencySum: UInt64, now: MonotonicTime) {
    calls &+= more
    sum &+= latencySum
    guard calls >= Self.windowCalls, now.nanoseconds(since: began) >= Self.windowNanoseconds else { return }
    close(mean: Double(sum) / Double(calls))
    began = now
    calls = 0
    sum = 0
  }

  private mutating func close(mean: Double) {
    windows += 1
    if isMeasuring {
      isMeasuring = false
      unloaded = mean
      limit = limitBefore
      return
    }
    if unloaded == 0 || mean < unloaded { unloaded = mean }
    if windows % Self.windowsPerMeasurement == 0 {
      if limit <= options.floor {
        unloaded = mean
        return
      }
      isMeasuring = true
      limitBefore = limit
      limit = options.floor
      return
    }
    let gradient = min(max(Self.tolerance * unloaded / max(mean, 1), 0.5), 1)
    let wanted = gradient * Double(limit) + Double(limit).squareRoot()
    limit = min(max(Int(wanted), options.floor), options.ceiling)
  }
}
