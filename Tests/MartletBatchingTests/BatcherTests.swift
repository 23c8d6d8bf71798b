import MartletCore
import Synchronization
import Testing

@testable import MartletBatching

/// Holds what the plan below lets it.
private final class Held: PlanScratch {
  var held = 0
  override var bytes: Int { held }
  override func drop() { held = 0 }
}

/// Doubles its one input, and needs 100,000 bytes for that of 77,777; refuses negative numbers, as an operator may refuse a row.
private final class Doubling: ScoringPlan {
  let signature = ModelSignature(
    inputs: [.init(name: "x", type: .float64, shape: [1])],
    outputs: [.init(name: "y", type: .float64, shape: [1], role: .value)],
    columns: [.init(name: "x", input: 0, offset: 0, type: .float64, missingAllowed: true)])
  let summary = "doubling"
  /// Rows of each call to `score`.
  let scored = Mutex<[Range<Int>]>([])

  func makeScratch() -> PlanScratch { Held() }

  func score(_ tile: Tile, rows: Range<Int>, scratch: PlanScratch) throws(Status) {
    scored.withLock { $0.append(rows) }
    let x = tile.input(0).assumingMemoryBound(to: Double.self)
    let y = tile.output(0).assumingMemoryBound(to: Double.self)
    for row in rows {
      guard x[row] >= 0 else { throw Status(.invalidArgument, "x: \(x[row])") }
      if x[row] == 77_777 { (scratch as? Held)?.held = 100_000 }
      y[row] = 2 * x[row]
    }
  }
}

/// Takes a text, and makes more of it than came.
private final class Texts: ScoringPlan {
  let signature = ModelSignature(
    inputs: [.init(name: "x", type: .text, shape: [1])],
    outputs: [.init(name: "y", type: .float64, shape: [1], role: .value)],
    columns: [.init(name: "x", input: 0, offset: 0, type: .text, missingAllowed: true)])
  let summary = "texts"

  func makeScratch() -> PlanScratch { PlanScratch() }

  func score(_ tile: Tile, rows: Range<Int>, scratch: PlanScratch) throws(Status) { _ = tile.texts.reserve(300_000) }
}

private final class Ignoring: BatchConsumer {
  func completed(call index: Int, of batch: Batch) {}
}

private final class Answers: BatchConsumer {
  var values: [UInt32: [Double]] = [:]
  var failures: [UInt32: StatusCode] = [:]
  var batches: [Int] = []

  func completed(call index: Int, of batch: Batch) {
    let call = batch.calls[index]
    if let status = batch.status(ofCall: index) {
      failures[call.context] = status.code
      return
    }
    let y = batch.tile.output(0).assumingMemoryBound(to: Double.self)
    values[call.context] = (call.firstRow..<(call.firstRow + call.rows)).map { y[$0] }
    batches.append(batch.rows)
  }
}

extension Batcher {
  /// Room for a call of no client in particular that has time.
  fileprivate func reserve(
    _ lane: Lane, rows: Int, textBytes: Int = 0, now: MonotonicTime
  ) throws(Status) -> Reservation {
    try reserve(
      lane, rows: rows, textBytes: textBytes,
      id: CallID(reactor: 0, connection: 0, generation: 0, stream: 1, entry: 0), level: 0, deadline: .distantFuture,
      now: now)
  }
}

private struct Bench {
  let plan = Doubling()
  let answers = Answers()
  let lane: Lane
  let batcher: Batcher
  let consumer: UInt8
  let posted = Posted()
  let now = MonotonicTime(nanoseconds: 1_000_000)
  let budget: MemoryBudget

  /// Work that a scorer posted, run when the test says so.
  final class Posted: Sendable {
    let work = Mutex<[@Sendable () -> Void]>([])
    let wakes = Mutex<[MonotonicTime]>([])
    func run() {
      for work in work.withLock({ work in
        defer { work = [] }
        return work
      }) { work() }
    }
  }

  init(
    _ limits: BatchLimits = BatchLimits(), inlineBudget: UInt64 = .max, scorer: (any BatchScorer)? = nil,
    budget: Int = .max, levels: Int = 1
  ) {
    let posted = posted
    let memory = MemoryBudget(limitBytes: budget)
    self.budget = memory
    batcher = Batcher(
      options: .init(inlineBudgetNanoseconds: inlineBudget, priorityLevels: levels), scorer: scorer, budget: memory,
      post: { work in posted.work.withLock { $0.append(work) } },
      wake: { time in posted.wakes.withLock { $0.append(time) } })
    consumer = batcher.add(answers)
    lane = Lane(
      plan: plan, owner: plan, limits: limits, statistics: LaneStatistics(model: "m", version: "1"))
  }

  func call(
    _ number: UInt32, _ values: [Double], deadline: MonotonicTime = .distantFuture, connection: UInt32 = 1,
    level: UInt8 = 0
  ) throws(Status) {
    let id = CallID(reactor: 0, connection: connection, generation: 0, stream: number, entry: number)
    let room = try batcher.reserve(lane, rows: values.count, id: id, level: level, deadline: deadline, now: now)
    let x = room.tile.input(0).assumingMemoryBound(to: Double.self)
    for (row, value) in values.enumerated() { x[room.firstRow + row] = value }
    batcher.commit(
      room,
      BatchedCall(
        id: id,
        consumer: consumer, context: number, firstRow: room.firstRow, rows: values.count, arrived: now,
        deadline: deadline, level: level))
  }

  /// The same in one, where nothing is to be decided.
  func take(
    _ number: UInt32, _ values: [Double], deadline: MonotonicTime = .distantFuture, connection: UInt32 = 1
  ) -> Bool {
    let id = CallID(reactor: 0, connection: connection, generation: 0, stream: number, entry: number)
    let call = BatchedCall(
      id: id, consumer: consumer, context: number, firstRow: 0, rows: values.count, arrived: now, deadline: deadline)
    guard let (tile, firstRow) = batcher.take(call, in: lane) else { return false }
    let x = tile.takeUnretainedValue().input(0).assumingMemoryBound(to: Double.self)
    for (row, value) in values.enumerated() { x[firstRow + row] = value }
    return true
  }

  /// Room for rows of no call in particular.
  func reserve(rows: Int) throws -> Reservation {
    try batcher.reserve(
      lane, rows: rows, id: CallID(reactor: 0, connection: 1, generation: 0, stream: 0, entry: 0), level: 0,
      deadline: .distantFuture, now: now)
  }

  /// A row takes a microsecond, whatever it took so far.
  func teach() {
    for rows in [1, 10, 100, 1, 10, 100, 1, 10] {
      lane.curve.observe(rows: rows, nanoseconds: UInt64(rows) * 1_000)
    }
  }

  func finish() {
    var rounds = 0
    while batcher.roundEnded(now: now), rounds < 100_000 { rounds += 1 }
  }
}

@Suite("Batching")
struct BatcherTests {
  @Test("what a round brings for a model is one batch, and every call gets its own answer")
  func oneBatch() throws {
    let bench = Bench()
    for number in 0..<300 { try bench.call(UInt32(number), [Double(number), Double(number) + 0.5]) }
    bench.finish()
    for number in 0..<300 {
      #expect(bench.answers.values[UInt32(number)] == [Double(2 * number), Double(2 * number) + 1])
    }
    #expect(bench.plan.scored.withLock { $0 } == [0..<600])
    #expect(bench.lane.statistics.batchRows.sum == 600)
    #expect(bench.batcher.isIdle)
  }

  @Test("a call larger than the largest batch is scored in parts and answered as one")
  func split() throws {
    let bench = Bench(BatchLimits(maximumRows: 100))
    try bench.call(0, [1])
    try bench.call(1, (0..<1_050).map(Double.init))
    try bench.call(2, [7])
    bench.finish()
    #expect(bench.answers.values[0] == [2])
    #expect(bench.answers.values[1] == (0..<1_050).map { Double(2 * $0) })
    #expect(bench.answers.values[2] == [14])
    #expect(bench.plan.scored.withLock { $0.allSatisfy { $0.count <= 100 } })
  }

  @Test("a row that the model refuses fails its own call only")
  func refusedRow() throws {
    let bench = Bench()
    try bench.call(0, [1, 2])
    try bench.call(1, [3, -1, 4])
    try bench.call(2, [5])
    bench.finish()
    #expect(bench.answers.values == [0: [2, 4], 2: [10]])
    #expect(bench.answers.failures == [1: .invalidArgument])
  }

  @Test("a call whose deadline has passed is never scored")
  func expired() throws {
    let bench = Bench()
    try bench.call(0, [1])
    // In time by the clock that admitted it, late by the one that scores.
    try bench.call(1, [2], deadline: bench.now.advanced(byNanoseconds: 1_000))
    try bench.call(2, [3])
    bench.finish()
    #expect(bench.answers.failures == [1: .deadlineExceeded])
    #expect(bench.answers.values == [0: [2], 2: [6]])
    #expect(bench.plan.scored.withLock { $0 } == [0..<1, 2..<3])
  }

  @Test("a cancelled call is not scored, and its neighbours are")
  func cancelled() throws {
    let bench = Bench()
    for number in 0..<4 { try bench.call(UInt32(number), [Double(number)], connection: UInt32(number % 2)) }
    bench.batcher.cancel(connection: 1, generation: 0)
    #expect(bench.batcher.cancel(CallID(reactor: 0, connection: 0, generation: 0, stream: 2, entry: 2)))
    #expect(!bench.batcher.cancel(CallID(reactor: 0, connection: 0, generation: 0, stream: 9, entry: 9)))
    bench.finish()
    #expect(bench.answers.values == [0: [0]])
    #expect(bench.answers.failures == [1: .cancelled, 2: .cancelled, 3: .cancelled])
    #expect(bench.plan.scored.withLock { $0 } == [0..<1])
  }

  @Test("rows over the queue's limit are refused, and room comes back with the answers")
  func queueLimit() throws {
    let bench = Bench(BatchLimits(maximumQueuedRows: 3))
    try bench.call(0, [1, 2])
    let refusal = #expect(throws: Status.self) { try bench.call(1, [3, 4]) }
    #expect(refusal?.code == .resourceExhausted)
    try bench.call(2, [5])
    bench.finish()
    try bench.call(3, [6, 7, 8])
    bench.finish()
    #expect(bench.answers.values == [0: [2, 4], 2: [10], 3: [12, 14, 16]])
  }

  @Test("a call is taken at once only as long as no bound is near")
  func takenAtOnce() throws {
    let bench = Bench(BatchLimits(maximumRows: 100, maximumQueuedRows: 80), inlineBudget: 60_000)
    bench.teach()
    // There is no batch yet, and nothing is known of what gathers.
    #expect(!bench.take(0, [1]))
    try bench.call(0, [1])
    // A call with a deadline is to be admitted.
    #expect(!bench.take(1, [1], deadline: bench.now.advanced(byNanoseconds: 1_000_000_000)))
    var taken: UInt32 = 0
    while taken < 200, bench.take(taken + 1, [Double(taken + 1)]) { taken += 1 }
    // A row is a microsecond, so the budget of a round ends it: what is more has to wait in order.
    #expect((50..<60).contains(taken))
    #expect(bench.lane.queuedRows == Int(taken) + 1)
    bench.finish()
    for number in 0...taken { #expect(bench.answers.values[number] == [Double(2 * max(1, number))]) }
    #expect(bench.batcher.isIdle && bench.lane.queuedRows == 0)

    // Seven eighths of the rows that may wait are anybody's.
    let other = Bench(BatchLimits(maximumRows: 100, maximumQueuedRows: 40))
    other.teach()
    try other.call(0, [1])
    taken = 0
    while taken < 200, other.take(taken + 1, [1]) { taken += 1 }
    #expect(taken == 34)
    // A batch takes no more than its largest size, and as many as there is room for.
    let wide = Bench(BatchLimits(maximumRows: 20))
    wide.teach()
    try wide.call(0, [1])
    #expect(!wide.take(1, Array(repeating: 1, count: 20)))
    #expect(wide.take(1, Array(repeating: 1, count: 19)))
    #expect(!wide.take(2, [1]))
  }

  @Test("several scorers end sooner what waits for them, and one that is free is not waited for")
  func severalScorers() throws {
    // Scores nothing, so that what it was given stays with it.
    final class Busy: BatchScorer {
      let threads: Int
      init(_ threads: Int) { self.threads = threads }
      func submit(_ batch: Batch, finished: @escaping @Sendable (Batch) -> Void) {}
    }
    // Calls of 1,000 µs each.
    let rows = Array(repeating: 1.0, count: 1_000)
    func admitted(_ threads: Int) throws -> UInt32 {
      let bench = Bench(inlineBudget: 500_000, scorer: Busy(threads))
      bench.teach()
      func call(_ number: UInt32, due: UInt64) throws(Status) {
        try bench.call(number, rows, deadline: bench.now.advanced(byNanoseconds: due))
      }
      for number in 0..<UInt32(threads) {
        // A scorer is free, so nothing is waited for.
        try call(10_000 + number, due: 1_200_000)
        let other = 10_000 + number
        #expect(bench.batcher.cancel(CallID(reactor: 0, connection: 1, generation: 0, stream: other, entry: other)))
        // Of another client, since it looks as if it had waited since the clock began.
        try bench.call(number, rows, connection: 2)
        _ = bench.batcher.roundEnded(now: bench.now)
      }
      #expect(throws: Status.self) { try call(10_000, due: 1_200_000) }
      for number in UInt32(threads)..<1_000 {
        do throws(Status) {
          try call(number, due: 10_500_000)
        } catch {
          #expect(error.code == .deadlineExceeded)
          return number - UInt32(threads)
        }
      }
      return 1_000
    }
    let one = try admitted(1)
    #expect((4...10).contains(one))
    #expect(try (3 * one...5 * one).contains(admitted(4)))
  }

  @Test("memory over the budget is refused before it is taken")
  func memory() throws {
    let bench = Bench(BatchLimits(maximumRows: 10_000), budget: 32_000)
    let refusal = #expect(throws: Status.self) { try bench.call(0, Array(repeating: 1, count: 5_000)) }
    #expect(refusal?.code == .resourceExhausted)
    try bench.call(1, Array(repeating: 1, count: 500))
    bench.finish()
    #expect(bench.answers.values[1]?.count == 500)
  }

  @Test("what a large call has left free goes after a while, or at once when another needs the memory")
  func freeMemory() throws {
    let bench = Bench(BatchLimits(maximumRows: 100_000), budget: 400_000)
    try bench.call(0, Array(repeating: 1, count: 10_000))
    bench.finish()
    #expect(bench.answers.values[0]?.count == 10_000)
    // 160,000 bytes lie free in one lane; another's call needs more than the rest.
    let other = Lane(
      plan: bench.plan, owner: bench.plan, limits: BatchLimits(maximumRows: 100_000),
      statistics: LaneStatistics(model: "other", version: "1"))
    let room = try bench.batcher.reserve(other, rows: 20_000, now: bench.now)
    bench.batcher.abandon(room)
    try bench.call(1, Array(repeating: 1, count: 5_000))
    bench.finish()
    #expect(bench.budget.takenBytes > 80_000)
    let looks = bench.posted.wakes.withLock { $0 }
    #expect(looks.count >= 1)
    let later = MonotonicTime.now().advanced(byNanoseconds: 2_000_000_000)
    _ = bench.batcher.roundEnded(now: later)
    _ = bench.batcher.roundEnded(now: later.advanced(byNanoseconds: 2_000_000_000))
    #expect(bench.budget.takenBytes < 2_000)
  }

  @Test("large scratch memory goes when nobody has needed it for a while, and stays as long as somebody does")
  func freeScratch() throws {
    let bench = Bench(BatchLimits())
    var later = MonotonicTime.now()
    func look() {
      later = later.advanced(byNanoseconds: 2_000_000_000)
      _ = bench.batcher.roundEnded(now: later)
    }
    try bench.call(0, [77_777])
    bench.finish()
    #expect(bench.lane.scratch.bytes == 100_000)
    for id in 1..<4 {
      try bench.call(UInt32(id), [1])
      bench.finish()
      look()
      #expect(bench.lane.scratch.bytes == 100_000)
    }
    look()
    #expect(bench.lane.scratch.bytes == 0)
    try bench.call(4, [77_777])
    bench.finish()
    #expect(bench.lane.scratch.bytes == 100_000)
    look()
    look()
    #expect(bench.lane.scratch.bytes == 0)
  }

  @Test("texts are charged to the budget before they are stored, and given back")
  func memoryOfTexts() throws {
    let budget = MemoryBudget(limitBytes: 200_000)
    let batcher = Batcher(
      options: .init(), scorer: nil, budget: budget, post: { $0() }, wake: { _ in })
    let consumer = batcher.add(Ignoring())
    let plan = Texts()
    let now = MonotonicTime(nanoseconds: 1)
    do {
      let lane = Lane(
        plan: plan, owner: plan, limits: BatchLimits(), statistics: LaneStatistics(model: "m", version: "1"))
      let refusal = #expect(throws: Status.self) {
        _ = try batcher.reserve(lane, rows: 1, textBytes: 100_000, now: now)
      }
      #expect(refusal?.code == .resourceExhausted)
      #expect(batcher.statistics.refusedMemory.value == 1)
      let text = Array(repeating: UInt8(ascii: "t"), count: 50_000)
      let room = try batcher.reserve(lane, rows: 1, textBytes: text.count, now: now)
      #expect(budget.takenBytes >= text.count)
      text.withUnsafeBytes {
        room.tile.input(0).storeBytes(of: room.tile.texts.store($0), as: TextRef.self)
      }
      batcher.commit(
        room,
        BatchedCall(
          id: CallID(reactor: 0, connection: 0, generation: 0, stream: 1, entry: 0), consumer: consumer, context: 0,
          firstRow: room.firstRow, rows: 1, arrived: now, deadline: .distantFuture))
      #expect(budget.takenBytes == room.tile.blockBytes + room.tile.texts.heldBytes)
      // The second fits beside it only while what is held is charged, not what might have been.
      let second = try batcher.reserve(lane, rows: 1, textBytes: 30_000, now: now)
      batcher.abandon(second)
      while batcher.roundEnded(now: now) {}
      #expect(budget.takenBytes < 100_000)
      lane.retire()
    }
    #expect(budget.takenBytes == 0)
  }

  @Test("an abandoned reservation leaves no trace")
  func abandoned() throws {
    let bench = Bench()
    try bench.call(0, [1])
    let room = try bench.reserve(rows: 5)
    bench.batcher.abandon(room)
    try bench.call(1, [2])
    bench.finish()
    #expect(bench.answers.values == [0: [2], 1: [4]])
    let alone = try bench.reserve(rows: 5)
    bench.batcher.abandon(alone)
    bench.finish()
    #expect(bench.batcher.isIdle)
  }

  @Test("an abandoned reservation takes its texts with it")
  func abandonedTexts() throws {
    let bench = Bench()
    try bench.call(0, [1])
    let before = try bench.reserve(rows: 1)
    let text = Array(repeating: UInt8(ascii: "t"), count: 100_000)
    for _ in 0..<10 { text.withUnsafeBytes { _ = before.tile.texts.store($0) } }
    bench.batcher.abandon(before)
    #expect(before.tile.texts.bytes == 0)
    let after = try bench.reserve(rows: 1)
    let kept = Array("kept".utf8).withUnsafeBytes { after.tile.texts.store($0) }
    #expect(kept.string == "kept" && after.tile.texts.bytes == 4)
    bench.batcher.abandon(after)
  }

  @Test("a model with a queue delay waits for it, or for its preferred rows")
  func delay() throws {
    let bench = Bench(BatchLimits(maximumDelayNanoseconds: 1_000, preferredRows: 3))
    try bench.call(0, [1])
    #expect(!bench.batcher.roundEnded(now: bench.now))
    #expect(bench.answers.values.isEmpty)
    #expect(bench.posted.wakes.withLock { $0 } == [bench.now.advanced(byNanoseconds: 1_000)])
    #expect(!bench.batcher.roundEnded(now: bench.now.advanced(byNanoseconds: 1_000)))
    #expect(bench.answers.values == [0: [2]])
    for number in 1...3 { try bench.call(UInt32(number), [Double(number)]) }
    _ = bench.batcher.roundEnded(now: bench.now)
    #expect(bench.answers.values.count == 4)
  }

  @Test("nothing is waited for where the curve says that larger batches are no cheaper")
  func delayThatDoesNotPay() throws {
    let bench = Bench(BatchLimits(maximumDelayNanoseconds: 1_000_000, preferredRows: 100))
    bench.teach()
    try bench.call(0, [1, 2, 3])
    _ = bench.batcher.roundEnded(now: bench.now)
    #expect(bench.answers.values[0] == [2, 4, 6])
    #expect(bench.posted.wakes.withLock { $0.isEmpty })
  }

  @Test("long batches go to the scorer and come back through the mailbox")
  func scorer() throws {
    let bench = Bench(BatchLimits(maximumRows: 50), inlineBudget: 0, scorer: DispatchScorer(threads: 1))
    // The curve knows nothing yet, so the first batch is scored inline and teaches it.
    try bench.call(0, [1])
    bench.finish()
    for number in 1...20 { try bench.call(UInt32(number), (0..<30).map { Double($0 + Int(number)) }) }
    bench.finish()
    var waits = 0
    while !bench.batcher.isIdle, waits < 5_000 {
      bench.posted.run()
      bench.finish()
      waits += 1
      if !bench.batcher.isIdle { usleepOnce() }
    }
    for number in 1...20 { #expect(bench.answers.values[UInt32(number)] == (0..<30).map { Double(2 * ($0 + number)) }) }
  }

  @Test("several scorers take parts of one batch, and a refused row still fails its own call only")
  func divided() throws {
    let bench = Bench(inlineBudget: 1_000, scorer: DispatchScorer(threads: 3))
    bench.teach()
    func wait() {
      var waits = 0
      repeat {
        bench.finish()
        bench.posted.run()
        waits += 1
        if !bench.batcher.isIdle { usleepOnce() }
      } while !bench.batcher.isIdle && waits < 5_000
    }
    try bench.call(0, (0..<4_000).map(Double.init))
    wait()
    let parts = bench.plan.scored.withLock { $0 }
    #expect(parts.count == 3 && parts.allSatisfy { $0.count < 2_000 })
    try bench.call(1, [1, -1] + Array(repeating: 2, count: 1_500))
    wait()
    #expect(bench.answers.values[0] == (0..<4_000).map { Double(2 * $0) })
    #expect(bench.answers.failures == [1: .invalidArgument])
  }

  @Test("without a scorer long batches are scored in parts between rounds")
  func chunks() throws {
    let bench = Bench(inlineBudget: 1)
    try bench.call(0, Array(repeating: 1, count: 64))
    bench.finish()
    bench.lane.curve = CostCurve(ScoringCost(fixed: 0, perRow: 1_000))
    try bench.call(1, (0..<500).map(Double.init))
    var rounds = 0
    while bench.batcher.roundEnded(now: bench.now) { rounds += 1 }
    #expect(rounds > 10)
    #expect(bench.answers.values[1] == (0..<500).map { Double(2 * $0) })
  }

  /// Teaches the curve that a row takes a microsecond, and more than a round's worth of calls of one row waits.
  private func loaded(_ calls: Range<UInt32>, levels: Int = 1) throws -> Bench {
    let bench = Bench(inlineBudget: 10_000, levels: levels)
    bench.teach()
    for number in calls { try bench.call(number, [Double(number)], connection: number % 3) }
    return bench
  }

  @Test("what is more than a round serves waits, and all of it is answered")
  func waiting() throws {
    let bench = try loaded(0..<300)
    #expect(bench.batcher.roundEnded(now: bench.now))
    #expect(bench.answers.values.count < 300)
    bench.finish()
    for number in 0..<300 as Range<UInt32> { #expect(bench.answers.values[number] == [Double(2 * number)]) }
    #expect(bench.batcher.isIdle && bench.lane.queuedRows == 0)
  }

  @Test("what a connection has waiting goes with it at once")
  func cancelledWhileWaiting() throws {
    let bench = try loaded(0..<300)
    #expect(bench.batcher.roundEnded(now: bench.now))
    let before = bench.answers.values.count
    bench.batcher.cancel(connection: 1, generation: 0)
    let cancelled = bench.answers.failures.count { $0.value == .cancelled }
    #expect(cancelled > 50)
    #expect(bench.lane.queuedRows == 300 - before - cancelled)
    #expect(bench.batcher.cancel(CallID(reactor: 0, connection: 2, generation: 0, stream: 299, entry: 299)))
    #expect(bench.answers.failures[299] == .cancelled)
    bench.finish()
    #expect(bench.answers.values.count + cancelled + 1 == 300)
    #expect(bench.batcher.isIdle && bench.lane.queuedRows == 0)
    #expect(bench.lane.statistics.callsInFlight.value == 0)
  }

  @Test("a higher priority that comes later is scored first")
  func priority() throws {
    let bench = try loaded(0..<300, levels: 2)
    #expect(bench.batcher.level(ofPriority: 0) == 0 && bench.batcher.level(ofPriority: 2) == 1)
    #expect(bench.batcher.level(ofPriority: 3) == nil)
    #expect(bench.batcher.refusal(ofPriority: 3).message.contains("priority: 3"))
    _ = bench.batcher.roundEnded(now: bench.now)
    for number in 300..<350 as Range<UInt32> { try bench.call(number, [1], connection: 9, level: 1) }
    while bench.batcher.roundEnded(now: bench.now) {
      if bench.answers.values[349] != nil { #expect(bench.answers.values.count >= 250) }
    }
    #expect(bench.answers.values.count == 350)
  }

  @Test(
    "a call without prospect is refused at once and told when to come back; one of a client within its share is not")
  func admission() throws {
    let bench = try loaded(0..<0)
    let soon = bench.now.advanced(byNanoseconds: 1_000_000)
    var refusal: Status?
    var admitted: UInt32 = 0
    while refusal == nil, admitted < 2_000 {
      do throws(Status) {
        try bench.call(admitted, [1], deadline: soon, connection: 1)
        admitted += 1
      } catch {
        refusal = error
      }
    }
    #expect((500..<1_000).contains(admitted))
    #expect(refusal?.code == .deadlineExceeded)
    #expect((refusal?.retryNanoseconds ?? 0) > 500_000)
    #expect(bench.batcher.statistics.refusedDeadline.value == 1)
    try bench.call(9_001, [1], deadline: soon, connection: 2)
    try bench.call(9_002, [1], deadline: bench.now.advanced(byNanoseconds: 1_000_000_000), connection: 1)
  }

  @Test("a model whose curve says that nothing can be in time is tried now and then all the same")
  func hopeless() throws {
    let bench = Bench(inlineBudget: 1_000_000)
    for rows in [1, 10, 100, 1, 10, 100, 1, 10] {
      bench.lane.curve.observe(rows: rows, nanoseconds: UInt64(rows) * 500_000)
    }
    var admitted = 0
    for number in 0..<16 as Range<UInt32> {
      do {
        try bench.call(number, [1], deadline: bench.now.advanced(byNanoseconds: 100_000))
        admitted += 1
      } catch {}
      bench.finish()
    }
    #expect(admitted == 2)
  }

  @Test("random calls of several models, clients and priorities get their own answers", arguments: 0..<20)
  func randomQueue(_ seed: Int) throws {
    var generator = SplitMix(state: UInt64(seed))
    let bench = Bench(
      BatchLimits(maximumRows: Int.random(in: 4...200, using: &generator)),
      inlineBudget: UInt64.random(in: 1_000...30_000, using: &generator),
      scorer: seed % 4 == 3 ? DispatchScorer(threads: 1) : nil, levels: 3)
    bench.teach()
    var expected: [UInt32: [Double]] = [:]
    for number in 0..<600 as Range<UInt32> {
      let values = (0..<Int.random(in: 1...(number % 50 == 0 ? 300 : 6), using: &generator)).map { _ in
        Double.random(in: 0...1, using: &generator)
      }
      try bench.call(
        number, values, connection: UInt32.random(in: 0..<5, using: &generator),
        level: UInt8.random(in: 0..<3, using: &generator))
      expected[number] = values.map { 2 * $0 }
      if Int.random(in: 0..<6, using: &generator) == 0 { _ = bench.batcher.roundEnded(now: bench.now) }
      if Int.random(in: 0..<9, using: &generator) == 0, let old = expected.keys.sorted().last(where: { $0 % 7 == 3 }) {
        // Gone already, unless it waits; a scorer that has it answers all the same.
        for connection in 0..<5 as Range<UInt32> {
          _ = bench.batcher.cancel(CallID(reactor: 0, connection: connection, generation: 0, stream: old, entry: old))
        }
      }
    }
    bench.finish()
    var waits = 0
    while !bench.batcher.isIdle, waits < 5_000 {
      bench.posted.run()
      bench.finish()
      waits += 1
      if !bench.batcher.isIdle { usleepOnce() }
    }
    #expect(bench.answers.values.count + bench.answers.failures.count == 600)
    for (number, values) in bench.answers.values { #expect(values == expected[number]) }
    #expect(bench.answers.failures.values.allSatisfy { $0 == .cancelled })
    #expect(bench.batcher.isIdle && bench.lane.queuedRows == 0)
    #expect(bench.lane.statistics.callsInFlight.value == 0)
  }

  @Test("random calls get their own answers whatever the limits are", arguments: 0..<30)
  func random(_ seed: Int) throws {
    var generator = SplitMix(state: UInt64(seed))
    let bench = Bench(
      BatchLimits(maximumRows: Int.random(in: 1...60, using: &generator)),
      inlineBudget: [0, 1, 1_000, .max].randomElement(using: &generator)!)
    var expected: [UInt32: [Double]] = [:]
    for number in 0..<200 as Range<UInt32> {
      let values = (0..<Int.random(in: 1...90, using: &generator)).map { _ in
        Double.random(in: 0...1, using: &generator)
      }
      try bench.call(number, values)
      expected[number] = values.map { 2 * $0 }
      if Bool.random(using: &generator) { _ = bench.batcher.roundEnded(now: bench.now) }
    }
    bench.finish()
    #expect(bench.answers.values == expected)
    #expect(bench.batcher.isIdle)
    #expect(bench.lane.statistics.queuedRows.value == 0)
    #expect(bench.lane.statistics.callsInFlight.value == 0)
  }
}

private func usleepOnce() {
  let start = MonotonicTime.now()
  while MonotonicTime.now().nanoseconds(since: start) < 1_000_000 {}
}

struct SplitMix: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}

@Suite("Cost curve")
struct CostCurveTests {
  @Test("it learns a line from batches of several sizes")
  func line() {
    var curve = CostCurve()
    for round in 0..<200 {
      let rows = [1, 8, 64, 512][round % 4]
      curve.observe(rows: rows, nanoseconds: UInt64(5_000 + 300 * rows))
    }
    #expect(abs(curve.fixed - 5_000) < 50)
    #expect(abs(curve.perRow - 300) < 1)
    #expect(curve.rows(within: 35_000, limit: 4096) == 100)
    #expect(curve.rows(within: 0, limit: 4096) == 1)
    #expect(curve.rows(within: .max, limit: 4096) == 4096)
    // Parts are as long as they should be, but at least half of one is its rows'.
    #expect(curve.part(within: 35_000, limit: 4096) == 100)
    #expect((16...17).contains(curve.part(within: 5_100, limit: 4096)))
    #expect((16...17).contains(curve.part(within: 0, limit: 4096)))
    #expect(curve.part(within: 0, limit: 10) == 10)
    #expect(CostCurve().part(within: 0, limit: 10) == 10)
  }

  @Test("batches of one size are all cost of rows, and one interruption does not change the picture")
  func oneSize() {
    var curve = CostCurve()
    for _ in 0..<100 { curve.observe(rows: 10, nanoseconds: 10_000) }
    curve.observe(rows: 10, nanoseconds: 900_000_000)
    #expect(curve.predict(rows: 10) < 20_000)
  }
}
