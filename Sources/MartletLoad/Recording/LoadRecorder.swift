import Histogram
import MartletCore

/// Latencies and counts of the calls that belong to the measurement: those due in its window.
///
/// Latency runs from the moment a call was due, so a call that could not leave in time, because the server stood still
/// or the harness was late, counts with all of its wait (no coordinated omission). Service time runs from the moment
/// it left. Both hold the calls that were answered OK and those that waited in vain (for longer than their deadline, or
/// on a connection that ended), with the time they waited; an answer with another status is counted and not timed, so
/// that quick refusals do not improve a percentile.
/// Confined to one thread.
public struct LoadRecorder: Sendable {
  /// A send more than this after its time is late, in nanoseconds.
  public static let lateAfterNanoseconds: UInt64 = 100_000

  /// Why a call has no answer.
  public enum Loss: Sendable, CaseIterable {
    /// No answer came within the time that the caller gives.
    case timedOut
    /// The connection ended first.
    case disconnected
    /// The run was over before it could be sent.
    case neverSent
  }

  /// Calls due before `from` are warm-up; those due at `until` or later belong to nobody.
  public let from: MonotonicTime
  public let until: MonotonicTime

  public private(set) var latency = LoadRecorder.histogram()
  public private(set) var service = LoadRecorder.histogram()
  /// Calls that were due in the window and have been sent.
  public private(set) var sent: UInt64 = 0
  /// Answers by status code, the code being the index.
  public private(set) var answers = [UInt64](repeating: 0, count: StatusCode.allCases.count)
  /// Calls without an answer, by `Loss`.
  public private(set) var timedOut: UInt64 = 0
  public private(set) var disconnected: UInt64 = 0
  public private(set) var neverSent: UInt64 = 0
  public private(set) var late: UInt64 = 0
  /// Late calls that waited for room in flight or in a socket, not for the harness.
  public private(set) var heldBack: UInt64 = 0
  public private(set) var latestNanoseconds: UInt64 = 0
  public private(set) var requestBytes: UInt64 = 0
  public private(set) var responseBytes: UInt64 = 0
  /// The longest time without any answer while a call was waiting for one.
  public private(set) var silenceNanoseconds: UInt64 = 0
  public private(set) var silenceStart = MonotonicTime(nanoseconds: 0)
  public private(set) var maximumInFlight = 0
  private var inFlight = 0
  private var quietSince = MonotonicTime(nanoseconds: 0)

  public init(from: MonotonicTime, until: MonotonicTime) {
    self.from = from
    self.until = until
  }

  /// Three digits, up to a minute without growing.
  static func histogram() -> Histogram<UInt64> {
    var histogram = Histogram<UInt64>(highestTrackableValue: 60_000_000_000, numberOfSignificantValueDigits: .three)
    histogram.autoResize = true
    return histogram
  }

  @inline(__always)
  private func isMeasured(_ scheduled: MonotonicTime) -> Bool { scheduled >= from && scheduled < until }

  /// Answers and losses so far.
  public var finished: UInt64 { answers.reduce(0, +) + timedOut + disconnected + neverSent }
  /// All calls that were due in the window and are accounted for or in flight.
  public var scheduled: UInt64 { sent + neverSent }

  /// A call left at `time`.
  public mutating func send(scheduled: MonotonicTime, at time: MonotonicTime, heldBack isHeldBack: Bool, bytes: Int) {
    if inFlight == 0 { quietSince = time }
    inFlight += 1
    maximumInFlight = max(maximumInFlight, inFlight)
    guard isMeasured(scheduled) else { return }
    sent += 1
    requestBytes &+= UInt64(bytes)
    let lateness = time.nanoseconds(since: scheduled)
    latestNanoseconds = max(latestNanoseconds, lateness)
    if lateness > Self.lateAfterNanoseconds {
      late += 1
      if isHeldBack { heldBack += 1 }
    }
  }

  /// A call was answered at `time`. A code that is none of the canonical ones counts as UNKNOWN.
  public mutating func answer(
    scheduled: MonotonicTime, sent: MonotonicTime, at time: MonotonicTime, code: Int32, bytes: Int
  ) {
    inFlight -= 1
    let silence = time.nanoseconds(since: quietSince)
    if silence > silenceNanoseconds, isMeasured(scheduled) {
      silenceNanoseconds = silence
      silenceStart = quietSince
    }
    quietSince = time
    guard isMeasured(scheduled) else { return }
    let index = answers.indices.contains(Int(code)) ? Int(code) : Int(StatusCode.unknown.rawValue)
    answers[index] += 1
    responseBytes &+= UInt64(bytes)
    guard index == 0 || index == Int(StatusCode.deadlineExceeded.rawValue) else { return }
    latency.record(time.nanoseconds(since: scheduled))
    service.record(time.nanoseconds(since: sent))
  }

  /// A call that will not be answered any more; `sent` is nil when it never left.
  public mutating func lose(
    scheduled: MonotonicTime, sent: MonotonicTime?, at time: MonotonicTime, _ loss: Loss
  ) {
    if sent != nil {
      inFlight -= 1
      let silence = time.nanoseconds(since: quietSince)
      if silence > silenceNanoseconds, isMeasured(scheduled) {
        silenceNanoseconds = silence
        silenceStart = quietSince
      }
    }
    guard isMeasured(scheduled) else { return }
    switch loss {
    case .timedOut: timedOut += 1
    case .disconnected: disconnected += 1
    case .neverSent: neverSent += 1
    }
    latency.record(time.nanoseconds(since: scheduled))
    if let sent { service.record(time.nanoseconds(since: sent)) }
  }

  /// Adds what another thread of the same run has recorded.
  public mutating func merge(_ other: LoadRecorder) {
    latency.add(other.latency)
    service.add(other.service)
    sent += other.sent
    for index in answers.indices { answers[index] += other.answers[index] }
    timedOut += other.timedOut
    disconnected += other.disconnected
    neverSent += other.neverSent
    late += other.late
    heldBack += other.heldBack
    latestNanoseconds = max(latestNanoseconds, other.latestNanoseconds)
    requestBytes &+= other.requestBytes
    responseBytes &+= other.responseBytes
    if other.silenceNanoseconds > silenceNanoseconds {
      silenceNanoseconds = other.silenceNanoseconds
      silenceStart = other.silenceStart
    }
    // Peaks of threads need not coincide: the sum is an upper bound.
    maximumInFlight += other.maximumInFlight
  }
}
