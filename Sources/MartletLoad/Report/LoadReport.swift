import MartletCore

/// What a run has shown. Times are nanoseconds.
public struct LoadReport: Sendable {
  /// What was called, for the reader of the report.
  public struct Target: Sendable, Equatable {
    public var server: String
    /// `Score` or `Null`.
    public var method: String
    /// Empty for `Null`.
    public var model: String
    public var version: String
    public var rowsPerCall: Int
    /// How many different calls take turns.
    public var distinctCalls: Int

    public init(
      server: String, method: String, model: String = "", version: String = "", rowsPerCall: Int, distinctCalls: Int
    ) {
      self.server = server
      self.method = method
      self.model = model
      self.version = version
      self.rowsPerCall = rowsPerCall
      self.distinctCalls = distinctCalls
    }
  }

  /// The same load against `Scoring.Null`, which answers as many bytes and scores nothing: what network, kernel,
  /// transport and harness take by themselves.
  public struct Floor: Sendable, Equatable {
    public var latency: Distribution
    public var requestBytes: Int
    public var responseBytes: Int
    public var callsPerSecond: Double

    public init(latency: Distribution, requestBytes: Int, responseBytes: Int, callsPerSecond: Double) {
      self.latency = latency
      self.requestBytes = requestBytes
      self.responseBytes = responseBytes
      self.callsPerSecond = callsPerSecond
    }
  }

  /// More than this share of late sends makes an open loop's run invalid.
  public static let maximumLateShare = 0.01

  public var target: Target
  public var plan: LoadPlan
  /// Length of the measurement; shorter than planned when the run was ended early.
  public var measuredNanoseconds: UInt64
  public var endedEarly: Bool

  /// Calls whose time lay in the measurement.
  public var scheduled: UInt64
  public var sent: UInt64
  /// Answers by status code, those that came.
  public var answers: [(code: StatusCode, count: UInt64)]
  public var timedOut: UInt64
  public var disconnected: UInt64
  public var neverSent: UInt64
  /// Connections that ended and were opened again.
  public var reconnects: UInt64

  public var late: UInt64
  /// Late calls that waited for room in flight or in a socket rather than for the harness.
  public var heldBack: UInt64
  public var latestNanoseconds: UInt64
  public var maximumInFlight: Int

  /// The longest time without an answer while a call waited for one, and when after the start of the measurement it
  /// began (0 when before it).
  public var silenceNanoseconds: UInt64
  public var silenceStartNanoseconds: UInt64

  public var requestBytes: UInt64
  public var responseBytes: UInt64

  /// From the moment a call was due.
  public var latency: Distribution
  /// From the moment it left.
  public var service: Distribution
  public var floor: Floor?

  public var objective: ServiceLevelObjective?

  /// - Parameters:
  ///   - recorder: of all threads together.
  ///   - end: when the last call was due, at the latest the end of the plan.
  init(
    target: Target, plan: LoadPlan, recorder: LoadRecorder, end: MonotonicTime, endedEarly: Bool, reconnects: UInt64,
    objective: ServiceLevelObjective?
  ) {
    self.target = target
    self.plan = plan
    measuredNanoseconds = end.nanoseconds(since: recorder.from)
    self.endedEarly = endedEarly
    scheduled = recorder.scheduled
    sent = recorder.sent
    answers = StatusCode.allCases.compactMap { code in
      let count = recorder.answers[Int(code.rawValue)]
      return count > 0 ? (code, count) : nil
    }
    timedOut = recorder.timedOut
    disconnected = recorder.disconnected
    neverSent = recorder.neverSent
    self.reconnects = reconnects
    late = recorder.late
    heldBack = recorder.heldBack
    latestNanoseconds = recorder.latestNanoseconds
    maximumInFlight = recorder.maximumInFlight
    silenceNanoseconds = recorder.silenceNanoseconds
    silenceStartNanoseconds = recorder.silenceStart.nanoseconds(since: recorder.from)
    requestBytes = recorder.requestBytes
    responseBytes = recorder.responseBytes
    latency = Distribution(recorder.latency, extra: objective?.ranks ?? [])
    service = Distribution(recorder.service)
    self.objective = objective
  }

  public var answered: UInt64 { answers.reduce(0) { $0 + $1.count } }
  public var ok: UInt64 { answers.first { $0.code == .ok }?.count ?? 0 }
  public var finished: UInt64 { answered + timedOut + disconnected + neverSent }
  /// Share of calls that were not answered OK, 0...1.
  public var errorShare: Double { finished == 0 ? 0 : Double(finished - ok) / Double(finished) }
  /// Share of the calls due that left more than 100 µs late or never, 0...1.
  public var lateShare: Double { scheduled == 0 ? 0 : Double(late + neverSent) / Double(scheduled) }
  /// Answers a second, of any status.
  public var callsPerSecond: Double {
    measuredNanoseconds == 0 ? 0 : Double(answered) / (Double(measuredNanoseconds) / 1e9)
  }
  /// Whether the load was the load that was asked for: at most 1 % of an open loop's calls left late.
  public var isValid: Bool { !plan.pace.isOpen || lateShare <= Self.maximumLateShare }
  /// A wait for answers that stands out: above 100 ms and ten times the median.
  public var hasStall: Bool {
    silenceNanoseconds > 100_000_000 && silenceNanoseconds > 10 * (latency.value(at: 50) ?? 0)
  }
  public var verdicts: [ServiceLevelObjective.Verdict] { objective?.judge(self) ?? [] }
}
