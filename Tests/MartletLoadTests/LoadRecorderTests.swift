import MartletCore
import Testing

@testable import MartletLoad

@Suite struct LoadRecorderTests {
  private func time(_ nanoseconds: UInt64) -> MonotonicTime { MonotonicTime(nanoseconds: nanoseconds) }

  private func recorder(from: UInt64 = 1_000, until: UInt64 = 1_000_000_000_000) -> LoadRecorder {
    LoadRecorder(from: time(from), until: time(until))
  }

  /// One call from its schedule to its answer.
  private func call(
    _ recorder: inout LoadRecorder, due: UInt64, sent: UInt64, answered: UInt64, code: Int32 = 0,
    heldBack: Bool = false
  ) {
    recorder.send(scheduled: time(due), at: time(sent), heldBack: heldBack, bytes: 10)
    recorder.answer(scheduled: time(due), sent: time(sent), at: time(answered), code: code, bytes: 20)
  }

  @Test("percentiles are those of the sorted values, to three digits")
  func percentiles() {
    var generator = SeededGenerator(seed: 3)
    // Three decades, as latencies of a loaded server are.
    let values = (0..<50_000).map { _ in 20_000 + UInt64(20_000_000 * generator.unit() * generator.unit()) }
    var recorder = recorder()
    for value in values { call(&recorder, due: 5_000, sent: 5_000, answered: 5_000 + value) }
    let sorted = values.sorted()
    let distribution = Distribution(recorder.latency, extra: [12.5])
    #expect(distribution.count == 50_000)
    #expect(distribution.percentiles.map(\.rank) == [12.5, 50, 75, 90, 95, 99, 99.9, 99.99])
    for percentile in distribution.percentiles {
      let exact = Double(sorted[Int((percentile.rank / 100 * 50_000).rounded(.up)) - 1])
      #expect(abs(Double(percentile.nanoseconds) - exact) <= exact / 1_000, "p\(percentile.rank)")
    }
    #expect(distribution.maximum == sorted.last)
    #expect(distribution.minimum == sorted.first)
    let mean = Double(values.reduce(0, +)) / 50_000
    #expect(abs(distribution.mean - mean) < mean / 1_000)
  }

  @Test("latency runs from the schedule and service time from the send")
  func twoClocks() {
    var recorder = recorder()
    call(&recorder, due: 1_000_000, sent: 501_000_000, answered: 501_050_000)
    #expect(Distribution(recorder.latency).maximum == 500_050_000)
    #expect(Distribution(recorder.service).maximum == 50_000)
  }

  @Test("only calls that were due in the window count")
  func window() {
    var recorder = recorder(from: 1_000, until: 2_000)
    call(&recorder, due: 999, sent: 1_500, answered: 1_600)
    call(&recorder, due: 2_000, sent: 2_000, answered: 2_100)
    #expect(recorder.sent == 0)
    #expect(recorder.finished == 0)
    call(&recorder, due: 1_000, sent: 1_000, answered: 900_000)
    call(&recorder, due: 1_999, sent: 2_500, answered: 2_600)
    #expect(recorder.sent == 2)
    #expect(recorder.answers[0] == 2)
    #expect(recorder.requestBytes == 20)
    #expect(recorder.responseBytes == 40)
  }

  @Test("a send is late after 100 µs, and what it waited for is kept apart")
  func late() {
    var recorder = recorder()
    call(&recorder, due: 5_000, sent: 105_000, answered: 200_000)
    #expect(recorder.late == 0)
    call(&recorder, due: 5_000, sent: 105_001, answered: 200_000)
    call(&recorder, due: 5_000, sent: 305_000, answered: 400_000, heldBack: true)
    call(&recorder, due: 5_000, sent: 5_001, answered: 400_000, heldBack: true)
    #expect(recorder.late == 2)
    #expect(recorder.heldBack == 1)
    #expect(recorder.latestNanoseconds == 300_000)
  }

  @Test("answers are counted by status, unknown codes as UNKNOWN, and only OK and waits in vain are timed")
  func statuses() {
    var recorder = recorder()
    for code: Int32 in [0, 8, 8, 14, 99, -1, 4] {
      call(&recorder, due: 5_000, sent: 5_000, answered: 6_000, code: code)
    }
    #expect(recorder.answers[Int(StatusCode.ok.rawValue)] == 1)
    #expect(recorder.answers[Int(StatusCode.resourceExhausted.rawValue)] == 2)
    #expect(recorder.answers[Int(StatusCode.unavailable.rawValue)] == 1)
    #expect(recorder.answers[Int(StatusCode.unknown.rawValue)] == 2)
    #expect(recorder.answers[Int(StatusCode.deadlineExceeded.rawValue)] == 1)
    #expect(recorder.finished == 7)
    #expect(recorder.latency.totalCount == 2)
  }

  @Test("a call without an answer counts with the time it waited")
  func losses() {
    var recorder = recorder()
    recorder.send(scheduled: time(5_000), at: time(5_000), heldBack: false, bytes: 1)
    recorder.lose(scheduled: time(5_000), sent: time(5_000), at: time(1_000_005_000), .timedOut)
    recorder.send(scheduled: time(5_000), at: time(5_000), heldBack: false, bytes: 1)
    recorder.lose(scheduled: time(5_000), sent: time(5_000), at: time(2_005_000), .disconnected)
    recorder.lose(scheduled: time(5_000), sent: nil, at: time(3_000_005_000), .neverSent)
    #expect(recorder.timedOut == 1)
    #expect(recorder.disconnected == 1)
    #expect(recorder.neverSent == 1)
    #expect(recorder.scheduled == 3)
    #expect(recorder.latency.totalCount == 3)
    #expect(recorder.latency.maxRecorded == 3_000_000_000)
    #expect(recorder.service.totalCount == 2)
  }

  @Test("the longest silence counts only while a call waits")
  func silence() {
    var recorder = recorder()
    call(&recorder, due: 10_000, sent: 10_000, answered: 60_000)
    // Nothing in flight for a second: no silence.
    call(&recorder, due: 1_000_000_000, sent: 1_000_000_000, answered: 1_000_070_000)
    #expect(recorder.silenceNanoseconds == 70_000)
    // Two calls, the first answer after 3 ms and the second 1 ms later.
    recorder.send(scheduled: time(2_000_000_000), at: time(2_000_000_000), heldBack: false, bytes: 1)
    recorder.send(scheduled: time(2_001_000_000), at: time(2_001_000_000), heldBack: false, bytes: 1)
    recorder.answer(
      scheduled: time(2_000_000_000), sent: time(2_000_000_000), at: time(2_003_000_000), code: 0, bytes: 1)
    recorder.answer(
      scheduled: time(2_001_000_000), sent: time(2_001_000_000), at: time(2_004_000_000), code: 0, bytes: 1)
    #expect(recorder.silenceNanoseconds == 3_000_000)
    #expect(recorder.silenceStart == time(2_000_000_000))
    #expect(recorder.maximumInFlight == 2)
  }

  @Test("recorders of several threads add up")
  func merging() {
    var first = recorder()
    var second = recorder()
    call(&first, due: 5_000, sent: 5_000, answered: 105_000)
    call(&second, due: 5_000, sent: 805_000, answered: 905_000, heldBack: true)
    call(&second, due: 5_000, sent: 5_000, answered: 9_000, code: 14)
    second.lose(scheduled: time(6_000), sent: nil, at: time(90_000_000_000_000), .neverSent)
    first.merge(second)
    #expect(first.sent == 3)
    #expect(first.answers[0] == 2)
    #expect(first.answers[14] == 1)
    #expect(first.neverSent == 1)
    #expect(first.late == 1)
    #expect(first.heldBack == 1)
    #expect(first.latency.totalCount == 3)
    // Above the minute for which a histogram has room from the start.
    #expect(first.latency.maxRecorded == 90_000_000_000_000 - 6_000)
    #expect(first.maximumInFlight == 2)
  }

  @Test("a stall of one second in ten puts p99 at 0.9 s in an open loop")
  func stall() {
    // A thousand calls a second for ten seconds; from second 4.5 to 5.5 nothing is answered.
    var recorder = recorder(from: 0)
    var schedule = LoadSchedule(rate: 1_000, arrivals: .poisson, seed: 1)
    var due = schedule.next()
    while due < 10_000_000_000 {
      let stalled = due >= 4_500_000_000 && due < 5_500_000_000
      call(&recorder, due: due, sent: due, answered: stalled ? 5_500_100_000 : due + 100_000)
      due = schedule.next()
    }
    let p99 = Distribution(recorder.latency).value(at: 99)!
    #expect(p99 > 850_000_000)
    #expect(p99 < 1_000_000_000)
  }
}
