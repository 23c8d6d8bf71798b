import MartletCore
import Testing

@testable import MartletLoad

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

@Suite struct LoadReportTests {
  private func time(_ nanoseconds: UInt64) -> MonotonicTime { MonotonicTime(nanoseconds: nanoseconds) }

  /// A thousand calls, 1 ms apart, answered after 51 to 1,050 µs; `late` of them leave 200 µs late.
  private func report(
    pace: LoadPlan.Pace = .open(rate: 1_000, arrivals: .poisson), late: Int = 0, failing: Int = 0,
    objective: String? = nil, floor: Bool = false
  ) throws -> LoadReport {
    var recorder = LoadRecorder(from: time(0), until: time(1_000_000_000))
    for index in 0..<1_000 {
      let due = UInt64(index) * 1_000_000
      let sent = due + (index < late ? 200_000 : 0)
      recorder.send(scheduled: time(due), at: time(sent), heldBack: false, bytes: 500)
      let code = index < failing ? StatusCode.resourceExhausted : .ok
      recorder.answer(
        scheduled: time(due), sent: time(sent), at: time(sent + UInt64(index + 51) * 1_000), code: code.rawValue,
        bytes: 80)
    }
    var report = LoadReport(
      target: .init(
        server: "ttrpc://127.0.0.1:8001", method: "Score", model: "credit-risk", version: "1", rowsPerCall: 1,
        distinctCalls: 100),
      plan: LoadPlan(pace: pace, duration: .seconds(1)), recorder: recorder, end: time(1_000_000_000),
      endedEarly: false, reconnects: 0, objective: try objective.map { try ServiceLevelObjective($0) })
    if floor {
      report.floor = .init(latency: report.service, requestBytes: 500, responseBytes: 80, callsPerSecond: 1_000)
    }
    return report
  }

  @Test("the summary of an open loop says pace, counts, latency, floor, verdict and objective")
  func summary() throws {
    let text = try report(late: 3, failing: 2, objective: "p99=2ms,errors=0.1%", floor: true).text
    #expect(
      text == """
        ttrpc://127.0.0.1:8001  Score credit-risk version 1, 1 row a call, 100 different
        open loop, 1,000 calls/s, Poisson (seed 1), 8 connections, 1.00 s after 1.00 s of warm-up

        calls      1,000 due, 1,000 sent, 1,000 answered, 1,000/s (1,000 rows/s)
        answers    OK 998, RESOURCE_EXHAUSTED 2
        in flight  at most 1
        late       3 sends (0.30 %) over 100 µs, at most 200 µs

        latency, from the moment a call was due (bars on a log scale)
          p50        551 µs  █████████████████████████████████████▉
          p75        801 µs  █████████████████████████████████████████▌
          p90        951 µs  ███████████████████████████████████████████▏
          p95       1.00 ms  ███████████████████████████████████████████▌
          p99       1.04 ms  ███████████████████████████████████████████▉
          p99.9     1.05 ms  ████████████████████████████████████████████
          p99.99    1.05 ms  ████████████████████████████████████████████
          max       1.05 ms  ████████████████████████████████████████████

        service    p50 551 µs  p99 1.04 ms  p99.9 1.05 ms  max 1.05 ms, from the moment a call left
        floor      p50 551 µs  p99 1.04 ms  p99.9 1.05 ms  max 1.05 ms, Null with 500 bytes there, 80 back
        verdict    VALID: 0.30 % of the calls left late, at most 1.00 % may
        slo        p99 at most 2.00 ms: kept, 1.04 ms
        slo        errors at most 0.10 %: MISSED, 0.20 %

        """)
  }

  @Test("an open loop is invalid when more than 1 % of its calls left late")
  func validity() throws {
    #expect(try report(late: 10).isValid)
    let invalid = try report(late: 11)
    #expect(!invalid.isValid)
    #expect(invalid.text.contains("verdict    INVALID: 1.10 % of the calls left late"))
    #expect(invalid.text.contains("the harness was late by itself"))
  }

  @Test("a closed loop says what it does not count")
  func closedLoop() throws {
    let report = try report(pace: .closed(concurrency: 4), late: 500)
    #expect(report.isValid)
    #expect(report.text.contains("closed loop, 4 calls in flight"))
    #expect(report.text.contains("--rate counts them"))
    #expect(!report.text.contains("late  "))
  }

  @Test("a bound without a figure is missed")
  func missing() throws {
    let report = try report(failing: 1_000, objective: "p99=1s,errors=100%")
    #expect(report.verdicts.map(\.isKept) == [false, true])
    #expect(report.verdicts[0].measured == nil)
    #expect(report.text.contains("no call was answered OK"))
    #expect(report.text.contains("slo        p99 at most 1.00 s: MISSED, nothing measured"))
  }

  @Test("percentiles that only the objective names are measured")
  func extraRank() throws {
    let report = try report(objective: "p12.5=1ms,p99=1ms,mean=1ms,max=1ms")
    #expect(report.verdicts.map(\.isKept) == [true, false, true, false])
    #expect(report.text.contains("  p12.5"))
  }

  @Test("a wait that stands out is named with its time")
  func stall() throws {
    var stalled = try report()
    stalled.silenceNanoseconds = 1_000_000_000
    stalled.silenceStartNanoseconds = 4_520_000_000
    #expect(stalled.text.contains("stall      no answer for 1.00 s, from 4.52 s on"))
    stalled.silenceNanoseconds = 90_000_000
    #expect(!stalled.text.contains("stall"))
  }

  @Test("the JSON report can be read and has the figures of the summary")
  func json() throws {
    struct Report: Decodable {
      struct Calls: Decodable {
        var due: Int
        var ok: Int
        var errorShare: Double
      }
      struct Latency: Decodable {
        var count: Int
        var maxSeconds: Double
      }
      struct Objective: Decodable {
        var measure: String
        var limit: Double
        var measured: Double?
        var kept: Bool
      }
      var calls: Calls
      var answers: [String: Int]
      var latency: Latency
      var valid: Bool
      var objective: [Objective]
    }
    var written = try report(failing: 2, objective: "p99=2ms,errors=0.1%", floor: true)
    written.target.model = "a\"b\\c\n\u{1}é"
    let text = written.json
    #expect(!text.contains("\n"))
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    let read = try decoder.decode(Report.self, from: Data(text.utf8))
    #expect(read.calls.due == 1_000)
    #expect(read.calls.ok == 998)
    #expect(abs(read.calls.errorShare - 0.002) < 1e-12)
    #expect(read.answers == ["OK": 998, "RESOURCE_EXHAUSTED": 2])
    #expect(read.latency.count == 998)
    #expect(read.latency.maxSeconds == 0.00105)
    #expect(read.valid)
    #expect(read.objective.map(\.measure) == ["p99", "errors"])
    #expect(read.objective.map(\.kept) == [true, false])
    #expect(read.objective[0].limit == 0.002)
    #expect(text.contains("\"model\":\"a\\\"b\\\\c\\n\\u0001é\""))
  }

  @Test("a bar is never empty, never too long and grows in eighths of a cell")
  func bars() {
    #expect(LatencyChart.bar(0) == "▏")
    #expect(LatencyChart.bar(-1) == "▏")
    #expect(LatencyChart.bar(2) == String(repeating: "█", count: LatencyChart.width))
    #expect(LatencyChart.bar(0.5) == String(repeating: "█", count: LatencyChart.width / 2))
    let flat = Distribution(
      count: 3, minimum: 1_000, mean: 1_000, maximum: 1_000, percentiles: [.init(rank: 50, nanoseconds: 1_000)])
    #expect(LatencyChart.lines(flat).count == 2)
    #expect(LatencyChart.lines(Distribution(count: 0, minimum: 0, mean: 0, maximum: 0, percentiles: [])).isEmpty)
  }
}
