import MartletClient
import MartletCore
import MartletSockets

/// Runs a load against one server and reports what it has shown.
///
///     let run = LoadRun(server: try ServerURL("ttrpc://127.0.0.1:8001"), plan: LoadPlan(pace: .closed(concurrency: 8)))
///     let report = try await run.score(requests, progress: LoadProgress())
///     print(report.text)
///
/// It fails, with a `ClientError`, when the server cannot be reached or refuses the first call; what happens to later
/// calls is counted in the report.
public struct LoadRun: Sendable {
  public var server: ServerURL
  public var plan: LoadPlan
  public var objective: ServiceLevelObjective?
  /// Whether the floor is measured before the run.
  public var measuresFloor: Bool
  /// Length of the floor's measurement, at most a fifth of the plan's; its warm-up is a quarter of it.
  public static let longestFloor: Duration = .seconds(1)

  public init(
    server: ServerURL, plan: LoadPlan, objective: ServiceLevelObjective? = nil, measuresFloor: Bool = true
  ) {
    self.server = server
    self.plan = plan
    self.objective = objective
    self.measuresFloor = measuresFloor
  }

  /// Sends scoring requests, which take turns; all are of one model and have as many rows as the first.
  public func score(_ requests: [ScoreRequest], progress: LoadProgress) async throws(ClientError) -> LoadReport {
    guard let first = requests.first else { throw ClientError(.invalidArgument, "there are no rows to send") }
    let calls = try CallSet(method: .score, payloads: requests.map { $0.encoded() }, timeout: plan.timeout)
    // One call beforehand: it says what is wrong with the rows, and how many bytes an answer has.
    let answer = try await probe(.score, payload: first.encoded())
    let version: String
    do throws(MessageError) {
      version = try ScoreResponse(decoding: answer).version
    } catch {
      throw ClientError(.internalError, "the answer of Score cannot be read: \(error)", address: server.description)
    }
    let target = LoadReport.Target(
      server: server.description, method: RPCMethod.score.name, model: first.model, version: version,
      rowsPerCall: first.rows, distinctCalls: requests.count)
    var floor: LoadReport.Floor?
    if measuresFloor {
      floor = try await measureFloor(requestBytes: calls.meanBytes, responseBytes: answer.count, progress)
    }
    return try await report(target, calls, floor, progress)
  }

  /// Calls `Scoring.Null` with a payload of `requestBytes`, asking for `responseBytes`.
  public func null(
    requestBytes: Int, responseBytes: Int, progress: LoadProgress
  ) async throws(ClientError) -> LoadReport {
    let request = NullRequest(payload: [UInt8](repeating: 0x55, count: requestBytes), responseBytes: responseBytes)
    let calls = try CallSet(method: .null, payloads: [request.encoded()], timeout: plan.timeout)
    _ = try await probe(.null, payload: request.encoded())
    let target = LoadReport.Target(
      server: server.description, method: RPCMethod.null.name, rowsPerCall: 1, distinctCalls: 1)
    return try await report(target, calls, nil, progress)
  }

  private func probe(_ method: RPCMethod, payload: [UInt8]) async throws(ClientError) -> [UInt8] {
    let client = try MartletClient(servers: [server])
    let result: Result<[UInt8], ClientError>
    do throws(ClientError) {
      result = .success(try await client.call(method, payload: payload, timeout: plan.timeout))
    } catch {
      result = .failure(error)
    }
    await client.close()
    return try result.get()
  }

  private func measureFloor(
    requestBytes: Int, responseBytes: Int, _ progress: LoadProgress
  ) async throws(ClientError) -> LoadReport.Floor {
    let calls = try Self.nullCalls(frameBytes: requestBytes, answerBytes: responseBytes, timeout: plan.timeout)
    var short = plan
    short.duration = min(Self.longestFloor, plan.duration / 5)
    short.warmup = short.duration / 4
    progress.enter(.floor)
    let (recorder, outcome) = try await drive(short, calls, progress, phases: false)
    let seconds = Double(outcome.end.nanoseconds(since: recorder.from)) / 1e9
    return LoadReport.Floor(
      latency: Distribution(recorder.latency), requestBytes: calls.meanBytes, responseBytes: responseBytes,
      callsPerSecond: seconds > 0 ? Double(recorder.finished) / seconds : 0)
  }

  /// A call of `Null` with a frame of `frameBytes` and an answer of `answerBytes`, or as near as its fields allow.
  private static func nullCalls(
    frameBytes: Int, answerBytes: Int, timeout: Duration
  ) throws(ClientError) -> CallSet {
    // In the answer a payload has a tag and a length before it.
    var asked = max(0, answerBytes - 2)
    asked -= min(asked, max(0, asked + 1 + ProtobufWriter.varintSize(UInt64(asked)) - answerBytes))
    func calls(payloadBytes: Int) throws(ClientError) -> CallSet {
      let request = NullRequest(payload: [UInt8](repeating: 0x55, count: payloadBytes), responseBytes: asked)
      return try CallSet(method: .null, payloads: [request.encoded()], timeout: timeout)
    }
    // The envelope's own bytes are what a first try shows.
    let first = try calls(payloadBytes: frameBytes)
    return try calls(payloadBytes: max(0, 2 * frameBytes - first.meanBytes))
  }

  private func report(
    _ target: LoadReport.Target, _ calls: CallSet, _ floor: LoadReport.Floor?, _ progress: LoadProgress
  ) async throws(ClientError) -> LoadReport {
    let (recorder, outcome) = try await drive(plan, calls, progress, phases: true)
    var report = LoadReport(
      target: target, plan: plan, recorder: recorder, end: outcome.end, endedEarly: outcome.endedEarly,
      reconnects: outcome.reconnects, objective: objective)
    report.floor = floor
    return report
  }

  /// Runs one driver for each thread, all on one time line, and adds up what they have recorded.
  private func drive(
    _ plan: LoadPlan, _ calls: CallSet, _ progress: LoadProgress, phases: Bool
  ) async throws(ClientError) -> (LoadRecorder, LoadDriver.Outcome) {
    if let complaint = plan.complaint { throw ClientError(.invalidArgument, complaint) }
    let addresses = try server.resolve()
    guard let address = addresses.first else {
      throw ClientError(.unavailable, "\(server) has no address", origin: .connection)
    }
    let drivers = (0..<plan.threads).map { thread in
      LoadDriver(
        thread: thread, plan: plan.share(ofThread: thread), phase: Double(thread) / Double(plan.threads),
        calls: calls, address: address, progress: progress)
    }
    defer { for driver in drivers { driver.stop() } }
    for driver in drivers {
      if case .failure(var error) = await driver.connect() {
        error.address = server.description
        throw error
      }
    }
    // A moment ahead, so that every thread is there when it begins.
    let start = MonotonicTime.now().advanced(by: .milliseconds(5))
    if phases { progress.enter(.warmup, at: start) }
    let clock = phases ? announce(start, plan, progress) : nil
    let outcomes = await withTaskGroup(of: LoadDriver.Outcome.self) { group in
      for driver in drivers { group.addTask { await driver.run(from: start) } }
      return await group.reduce(into: []) { $0.append($1) }
    }
    clock?.cancel()
    var recorder = outcomes[0].recorder
    var last = outcomes[0]
    for outcome in outcomes.dropFirst() {
      recorder.merge(outcome.recorder)
      last.end = max(last.end, outcome.end)
      last.endedEarly = last.endedEarly || outcome.endedEarly
      last.reconnects += outcome.reconnects
    }
    return (recorder, last)
  }

  /// Moves the shown phase on with the time.
  private func announce(_ start: MonotonicTime, _ plan: LoadPlan, _ progress: LoadProgress) -> Task<Void, Never> {
    Task {
      do {
        try await Task.sleep(for: plan.warmup)
        progress.enter(.measuring, at: start.advanced(by: plan.warmup))
        try await Task.sleep(for: plan.duration)
        progress.enter(.draining)
      } catch {
        // Cancelled: the run is over.
      }
    }
  }
}
