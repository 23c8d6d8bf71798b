import Histogram
import MartletCore
import Synchronization

/// What a running load shows of itself, and the switch that ends it early; from any thread.
public final class LoadProgress: Sendable {
  public enum Phase: Sendable, Equatable {
    case connecting
    case floor
    case warmup
    case measuring
    case draining
  }

  /// What happened since the last look.
  public struct Interval: Sendable {
    public var phase: Phase
    /// Since the phase began; the wait for the last answers goes on counting.
    public var elapsedNanoseconds: UInt64
    public var callsPerSecond: Double
    /// Calls in the interval that were not answered OK.
    public var errors: UInt64
    public var inFlight: Int
    /// Latency from the scheduled send of the calls answered in the interval; nil when none were.
    public var p50: UInt64?
    public var p99: UInt64?
    public var maximum: UInt64?
  }

  private struct State {
    var phase = Phase.connecting
    var began = MonotonicTime.now()
    var histogram = LoadProgress.histogram()
    var errors: UInt64 = 0
    var threads: [Int: Share] = [:]
  }

  /// What one thread has said since the last look, and over which time.
  private struct Share {
    var finished: UInt64 = 0
    var nanoseconds: UInt64 = 0
    var inFlight = 0
  }

  private let state = Mutex(State())
  private let stopped = Atomic<Bool>(false)

  public init() {}

  /// Ends the run: no call that is due later is sent. May be called from a signal handler.
  public func stop() { stopped.store(true, ordering: .relaxed) }
  var isStopped: Bool { stopped.load(ordering: .relaxed) }

  func enter(_ phase: Phase, at time: MonotonicTime = .now()) {
    state.withLock {
      guard $0.phase != phase else { return }
      if phase != .draining { $0.began = time }
      $0.phase = phase
    }
  }

  /// Two digits, a microsecond's resolution: small enough to merge on the sending thread.
  static func histogram() -> Histogram<UInt64> {
    var histogram = Histogram<UInt64>(
      lowestDiscernibleValue: 1_000, highestTrackableValue: 60_000_000_000, numberOfSignificantValueDigits: .two)
    histogram.autoResize = true
    return histogram
  }

  /// A thread says what happened in the last `nanoseconds`.
  func add(
    thread: Int, over nanoseconds: UInt64, _ histogram: Histogram<UInt64>, finished: UInt64, errors: UInt64,
    inFlight: Int
  ) {
    state.withLock {
      $0.histogram.add(histogram)
      $0.errors += errors
      var share = $0.threads[thread] ?? Share()
      share.finished += finished
      share.nanoseconds += nanoseconds
      share.inFlight = inFlight
      $0.threads[thread] = share
    }
  }

  /// What happened since the last look; begins the next interval.
  public func look() -> Interval {
    let now = MonotonicTime.now()
    return state.withLock { state in
      let histogram = state.histogram
      let rate = state.threads.values.reduce(0.0) {
        $1.nanoseconds > 0 ? $0 + Double($1.finished) * 1e9 / Double($1.nanoseconds) : $0
      }
      let interval = Interval(
        phase: state.phase, elapsedNanoseconds: now.nanoseconds(since: state.began), callsPerSecond: rate,
        errors: state.errors, inFlight: state.threads.values.reduce(0) { $0 + $1.inFlight },
        p50: histogram.totalCount > 0 ? histogram.valueAtPercentile(50) : nil,
        p99: histogram.totalCount > 0 ? histogram.valueAtPercentile(99) : nil,
        maximum: histogram.totalCount > 0 ? histogram.maxRecorded : nil)
      state.histogram.reset()
      state.errors = 0
      for thread in state.threads.keys {
        state.threads[thread]?.finished = 0
        state.threads[thread]?.nanoseconds = 0
      }
      return interval
    }
  }
}

extension LoadProgress.Interval {
  /// The line that a terminal shows while a load runs, without a line's end.
  public var line: String {
    let seconds = DecimalText.fixed(Double(elapsedNanoseconds) / 1e9, 1) + " s"
    let name =
      switch phase {
      case .connecting: "connecting"
      case .floor: "floor"
      case .warmup: "warm-up"
      case .measuring: "measuring"
      case .draining: "waiting for the last answers"
      }
    guard phase != .connecting else { return name }
    var line = "\(name) \(seconds)  \(DecimalText.rate(callsPerSecond)) calls/s"
    if let p50, let p99, let maximum {
      line += "  p50 \(DurationText.text(p50))  p99 \(DurationText.text(p99))  max \(DurationText.text(maximum))"
    } else {
      line += "  no answer"
    }
    line += "  in flight \(DecimalText.grouped(UInt64(max(0, inFlight))))"
    if errors > 0 { line += "  not OK \(DecimalText.grouped(errors))" }
    return line
  }
}
