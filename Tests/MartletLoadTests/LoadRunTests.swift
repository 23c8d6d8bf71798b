import MartletClient
import MartletCore
import Testing

@testable import MartletLoad

@Suite(.serialized) struct LoadRunTests {
  private let requests = (0..<5).map {
    ScoreRequest(model: "m", columns: [Column(name: "x", values: .doubles([Double($0)]))])
  }

  private func run(
    _ server: PretendServer, _ pace: LoadPlan.Pace, connections: Int = 3, inFlight: Int? = nil,
    duration: Duration = .milliseconds(200), warmup: Duration = .milliseconds(50), timeout: Duration = .seconds(5),
    threads: Int = 1, floor: Bool = false, progress: LoadProgress = LoadProgress()
  ) async throws -> LoadReport {
    let plan = LoadPlan(
      pace: pace, connections: connections, maximumInFlight: inFlight, duration: duration, warmup: warmup,
      timeout: timeout, threads: threads)
    let run = LoadRun(server: try server.url, plan: plan, measuresFloor: floor)
    return try await run.score(requests, progress: progress)
  }

  @Test("a closed loop keeps its calls in flight and every answer is counted once")
  func closedLoop() async throws {
    let server = try PretendServer()
    defer { server.stop() }
    let report = try await run(server, .closed(concurrency: 7))
    #expect(report.ok > 0)
    #expect(report.ok == report.finished)
    #expect(report.scheduled == report.finished)
    #expect(report.maximumInFlight == 7)
    #expect(report.latency.count == report.ok)
    #expect(report.isValid)
    #expect(report.target.version == "7")
    // The one of the look beforehand and those of the run.
    #expect(server.connections == 4)
    #expect(report.responseBytes == report.ok * UInt64(PretendServer.scoreResponse.count))
  }

  @Test("an open loop sends exactly the calls that its schedule has in the window", arguments: [1, 3])
  func openLoop(threads: Int) async throws {
    let server = try PretendServer()
    defer { server.stop() }
    let report = try await run(server, .open(rate: 600, arrivals: .constant), threads: threads)
    #expect(report.scheduled == 120)
    #expect(report.ok == 120)
    // The warm-up's thirty and the look beforehand came, too.
    #expect(server.calls == 151)
    #expect(report.measuredNanoseconds == 200_000_000)
    #expect(!report.endedEarly)
  }

  @Test("the floor is measured on the same server with as many bytes each way")
  func floor() async throws {
    let server = try PretendServer()
    defer { server.stop() }
    // The floor has a fifth of the run; shorter, a busy machine may answer nothing in it.
    let report = try await run(server, .closed(concurrency: 2), duration: .seconds(3), floor: true)
    let floor = try #require(report.floor)
    #expect(floor.latency.count > 0)
    #expect(floor.responseBytes == PretendServer.scoreResponse.count)
    let requestBytes = Int(report.requestBytes / report.sent)
    #expect(abs(floor.requestBytes - requestBytes) <= 1)
  }

  @Test("calls without an answer count with their wait, and a full bound holds later ones back")
  func silence() async throws {
    let server = try PretendServer(.isSilentAfterTheFirst)
    defer { server.stop() }
    let report = try await run(
      server, .open(rate: 1_000, arrivals: .constant), inFlight: 30, warmup: .zero, timeout: .milliseconds(60))
    #expect(report.scheduled == 200)
    #expect(report.finished == 200)
    #expect(report.ok == 0)
    #expect(report.timedOut + report.neverSent == 200)
    #expect(report.timedOut >= 30)
    #expect(report.maximumInFlight == 30)
    #expect(report.latency.count == 200)
    #expect(report.latency.maximum >= 60_000_000)
    #expect(report.service.minimum >= 50_000_000)
    #expect(report.heldBack > 0)
    #expect(!report.isValid)
    // Whom the verdict blames depends on how busy the machine is; what was held back does not.
    #expect(report.text.contains("INVALID"))
    #expect(report.text.contains("held back by calls without an answer"))
    #expect(report.errorShare == 1)
  }

  @Test("refusals are counted by their status and do not count as fast answers")
  func refusals() async throws {
    let server = try PretendServer(.refusesAllButTheFirst(.resourceExhausted))
    defer { server.stop() }
    let report = try await run(server, .open(rate: 500, arrivals: .poisson))
    #expect(report.answers.map(\.code) == [.resourceExhausted])
    #expect(report.answered == report.scheduled)
    #expect(report.latency.count == 0)
  }

  @Test("connections that end are opened again and their calls count as lost")
  func reconnecting() async throws {
    let server = try PretendServer(.hangsUp(every: 40))
    defer { server.stop() }
    let report = try await run(server, .open(rate: 1_000, arrivals: .constant), warmup: .zero)
    #expect(report.disconnected >= 4)
    #expect(report.reconnects >= 1)
    #expect(report.finished == 200)
    #expect(report.ok + report.disconnected + report.neverSent == 200)
  }

  @Test("a server that is not there is an error that names it")
  func unreachable() async throws {
    let server = try PretendServer()
    let url = try server.url
    server.stop()
    var plan = LoadPlan(pace: .closed(concurrency: 1))
    plan.timeout = .milliseconds(200)
    let run = LoadRun(server: url, plan: plan)
    let error = await #expect(throws: ClientError.self) {
      try await run.null(requestBytes: 1, responseBytes: 1, progress: LoadProgress())
    }
    #expect(error?.address == url.description)
  }

  @Test("what the server says of the first call ends the run before it begins")
  func refusedAtFirst() async throws {
    let server = try PretendServer(.refuses(.notFound, "no model \"m\""))
    defer { server.stop() }
    let error = await #expect(throws: ClientError.self) { try await run(server, .closed(concurrency: 1)) }
    #expect(error?.code == .notFound)
    #expect(error?.message == "no model \"m\"")
    #expect(server.calls == 1)
  }

  @Test("a run that is stopped reports what it has measured")
  func stopping() async throws {
    let server = try PretendServer()
    defer { server.stop() }
    let progress = LoadProgress()
    async let report = run(
      server, .open(rate: 1_000, arrivals: .poisson), duration: .seconds(60), warmup: .zero, progress: progress)
    while server.calls < 50 { try await Task.sleep(for: .milliseconds(5)) }
    progress.stop()
    let stopped = try await report
    #expect(stopped.endedEarly)
    #expect(stopped.measuredNanoseconds < 60_000_000_000)
    #expect(stopped.finished == stopped.scheduled)
    #expect(stopped.scheduled > 0)
    #expect(stopped.text.contains("(ended early)"))
  }

  @Test("the live line names the phase and what happened since the last look")
  func liveLine() {
    let progress = LoadProgress()
    #expect(progress.look().line == "connecting")
    progress.enter(.measuring)
    #expect(progress.look().line.contains("no answer"))
    var histogram = LoadProgress.histogram()
    for value in 1...100 { histogram.record(UInt64(value) * 10_000) }
    progress.add(thread: 0, over: 200_000_000, histogram, finished: 102, errors: 2, inFlight: 3)
    progress.add(thread: 1, over: 100_000_000, LoadProgress.histogram(), finished: 1, errors: 0, inFlight: 4)
    let interval = progress.look()
    #expect(interval.phase == .measuring)
    #expect(interval.line.hasPrefix("measuring 0.0 s  520 calls/s"))
    #expect(interval.line.hasSuffix("in flight 7  not OK 2"))
    #expect(interval.line.contains("p99 99"))
    #expect(progress.look().errors == 0)
  }
}
