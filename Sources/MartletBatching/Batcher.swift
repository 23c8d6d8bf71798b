import MartletCore

/// Who is told how the calls of a batch ended. On the reactor's thread.
public protocol BatchConsumer: AnyObject {
  /// The rows of `batch.calls[call]` are scored, or `batch.status(ofCall: call)` says why not. The batch is lent
  /// until this returns.
  func completed(call: Int, of batch: Batch)

  /// The same for calls that follow each other in a batch, so that what they share is looked up once.
  func completed(calls: Range<Int>, of batch: Batch)
}

extension BatchConsumer {
  public func completed(calls: Range<Int>, of batch: Batch) {
    for call in calls { completed(call: call, of: batch) }
  }
}

/// Room for a call's rows in a batch: rows `firstRow...` of the tile are the caller's to fill before `commit`.
///
/// Valid until it is committed or abandoned, which comes before anything else happens to its lane: until then the lane
/// holds the batch.
public struct Reservation {
  public unowned(unsafe) let batch: Batch
  public unowned(unsafe) let tile: Tile
  public let firstRow: Int
  public let rows: Int
  /// Where the texts of this call begin.
  let texts: TextHeap.Position
}

/// Gathers the rows that a round brings and scores them, one batch a model, when the round ends.
///
/// Run to completion: nothing waits on an idle machine, and batches grow by themselves under load. What would hold
/// up the round for longer than the inline budget goes to a scorer, or, where there is none, is scored in parts
/// between rounds. Confined to its reactor.
public final class Batcher {
  public struct Options: Sendable {
    /// Nanoseconds that a round may spend scoring, all models together.
    public var inlineBudgetNanoseconds: UInt64

    public init(inlineBudgetNanoseconds: UInt64 = 200_000) {
      self.inlineBudgetNanoseconds = inlineBudgetNanoseconds
    }
  }

  public let statistics = BatcherStatistics()
  private let options: Options
  private let scorer: (any BatchScorer)?
  private let budget: MemoryBudget
  /// Brings a batch back to the reactor's thread; any thread.
  private let post: @Sendable (@escaping @Sendable () -> Void) -> Void
  /// Asks for `roundEnded` at that time, when nothing else happens before.
  private let wake: (MonotonicTime) -> Void
  private var consumers: [any BatchConsumer] = []
  private var active: [Lane] = []
  private var firstOfRound = 0
  private static let sampledBatches: UInt64 = 16
  private var completed: UInt64 = 0
  /// Weak, so that the model of a lane that is gone is not freed here, on a thread that serves.
  private struct Resting {
    weak var lane: Lane?
  }

  /// Lanes whose free batches hold much, and when to look which of them are still needed.
  private var resting: [Resting] = []
  private var restingLook = MonotonicTime.distantFuture
  private static let restingNanoseconds: UInt64 = 1_000_000_000
  /// Batches that went to a scorer and have not come back.
  private var away: [Batch] = []

  public init(
    options: Options, scorer: (any BatchScorer)?, budget: MemoryBudget,
    post: @escaping @Sendable (@escaping @Sendable () -> Void) -> Void, wake: @escaping (MonotonicTime) -> Void
  ) {
    self.options = options
    self.scorer = scorer
    self.budget = budget
    self.post = post
    self.wake = wake
  }

  /// Registers a consumer; its number goes into its calls.
  public func add(_ consumer: any BatchConsumer) -> UInt8 {
    consumers.append(consumer)
    return UInt8(consumers.count - 1)
  }

  /// Whether no call waits or is being scored.
  public var isIdle: Bool { active.isEmpty && away.isEmpty }

  /// Room for `rows` rows of a call whose texts have `textBytes` bytes at most. The caller fills them and commits, or
  /// abandons; nothing else in between.
  ///
  /// Errors: RESOURCE_EXHAUSTED when too many rows wait or the memory for requests is used up.
  public func reserve(
    _ lane: Lane, rows: Int, textBytes: Int = 0, now: MonotonicTime
  ) throws(Status) -> Reservation {
    guard lane.queuedRows + rows <= lane.limits.maximumQueuedRows else { throw refuseFull(lane, rows) }
    // Texts are charged call by call.
    if !lane.hasTexts, let room = lane.roomInOpen(rows) { return room }
    if let open = lane.open, open.rows + rows > lane.limits.maximumRows, open.rows > 0 { close(lane) }
    let batch: Batch
    if let open = lane.open {
      batch = open
    } else {
      batch = lane.rent()
      lane.open = batch
      lane.openedAt = now
    }
    let first = batch.rows
    let isFull = first + rows > batch.tile.capacity
    if isFull || lane.hasTexts || !batch.isCharged {
      let capacity = isFull ? max(first + rows, min(2 * batch.tile.capacity, lane.limits.maximumRows)) : 0
      guard grow(batch, to: capacity, textBytes: textBytes) else {
        statistics.refusedMemory.add()
        if first == 0 { discardOpen(lane) }
        throw Status(.resourceExhausted, "memory for requests: the limit is \(budget.limitBytes) bytes")
      }
    }
    batch.tile.rows = first + rows
    if !lane.isActive {
      lane.isActive = true
      active.append(lane)
    }
    return Reservation(
      batch: batch, tile: batch.tile, firstRow: first, rows: rows, texts: batch.tile.texts.position)
  }

  private func refuseFull(_ lane: Lane, _ rows: Int) -> Status {
    statistics.refusedQueueFull.add()
    return Status(
      .resourceExhausted,
      "rows: \(rows) more while \(lane.queuedRows) wait; at most \(lane.limits.maximumQueuedRows) may wait")
  }

  private func grow(_ batch: Batch, to capacity: Int, textBytes: Int) -> Bool {
    if batch.grow(to: capacity, textBytes: textBytes, from: budget) { return true }
    // What lies free for the next calls must not keep this one from being answered.
    for other in resting { other.lane?.dropFree() }
    return batch.grow(to: capacity, textBytes: textBytes, from: budget)
  }

  /// Takes the last reservation back, its texts with it.
  public func abandon(_ reservation: Reservation) {
    reservation.tile.rows = reservation.firstRow
    reservation.tile.texts.rewind(to: reservation.texts)
    reservation.batch.settleCharge()
    if reservation.firstRow == 0, reservation.batch.calls.isEmpty { discardOpen(reservation.batch.lane) }
  }

  private func discardOpen(_ lane: Lane) {
    guard let batch = lane.open else { return }
    lane.open = nil
    giveBack(batch, to: lane)
  }

  /// Makes a filled reservation part of its batch.
  public func commit(_ reservation: Reservation, _ call: BatchedCall) {
    Unmanaged.passUnretained(reservation.batch)._withUnsafeGuaranteedRef { batch in
      batch.calls.append(call)
      Unmanaged.passUnretained(batch.lane)._withUnsafeGuaranteedRef { lane in
        if lane.hasTexts { batch.settleCharge() }
        lane.queuedRows += call.rows
        lane.queuedCalls += 1
      }
    }
  }

  /// Whether a call's rows, which waited, will not be scored; it is still completed, as cancelled.
  public func cancel(_ id: CallID) -> Bool {
    for lane in active {
      if let open = lane.open, open.cancel(id) { return true }
      for batch in lane.backlog where batch.cancel(id) { return true }
    }
    return false
  }

  /// Cancels what a connection has waiting; it is still completed, as cancelled.
  public func cancel(connection: UInt32, generation: UInt32) {
    for lane in active {
      lane.open?.cancel(connection: connection, generation: generation)
      for batch in lane.backlog { batch.cancel(connection: connection, generation: generation) }
    }
  }

  /// Scores what the round brought.
  ///
  /// - Returns: whether work is left that need not wait for anything.
  public func roundEnded(now: MonotonicTime) -> Bool {
    if now >= restingLook { lookAtResting(now) }
    guard !active.isEmpty else { return false }
    var clock = now
    var spent: UInt64 = 0
    var isWorkLeft = false
    var nextDue = MonotonicTime.distantFuture
    firstOfRound = (firstOfRound + 1) % active.count
    for lane in active { lane.showQueue() }
    for step in 0..<active.count {
      let lane = active[(firstOfRound + step) % active.count]
      guard let batch = lane.open, batch.rows > 0 || !batch.calls.isEmpty else { continue }
      if lane.limits.maximumDelayNanoseconds > 0, batch.rows < lane.limits.preferredRows {
        let due = lane.openedAt.advanced(byNanoseconds: lane.limits.maximumDelayNanoseconds)
        if clock < due {
          nextDue = min(nextDue, due)
          continue
        }
      }
      let predicted = lane.curve.predict(rows: batch.rows)
      let isLong =
        predicted > options.inlineBudgetNanoseconds || batch.rows > lane.limits.maximumRows || !lane.backlog.isEmpty
        || (scorer != nil && lane.limits.maximumDelayNanoseconds > 0)
      if isLong {
        close(lane)
      } else if spent > 0, spent + predicted > options.inlineBudgetNanoseconds {
        isWorkLeft = true
      } else {
        lane.open = nil
        spent += score(batch, limit: .max, at: &clock)
        complete(batch, now: clock)
      }
    }
    if workOffBacklogs(&clock, &spent) { isWorkLeft = true }
    active.removeAll { lane in
      let isIdle = (lane.open.map { $0.rows == 0 && $0.calls.isEmpty } ?? true) && lane.backlog.isEmpty
      if isIdle { lane.isActive = false }
      return isIdle
    }
    if nextDue < .distantFuture { wake(nextDue) }
    return isWorkLeft
  }

  /// Closes the open batch: it takes no more rows.
  private func close(_ lane: Lane) {
    guard let batch = lane.open else { return }
    lane.open = nil
    lane.backlog.append(batch)
  }

  private func workOffBacklogs(_ clock: inout MonotonicTime, _ spent: inout UInt64) -> Bool {
    var isWorkLeft = false
    for step in 0..<active.count {
      let lane = active[(firstOfRound + step) % active.count]
      guard !lane.backlog.isEmpty else { continue }
      if let scorer {
        for batch in lane.backlog { send(batch, to: scorer) }
        lane.backlog.removeAll(keepingCapacity: true)
        continue
      }
      // Without a scorer: a part that fits into what is left of the round's budget, one at least for progress.
      let left = options.inlineBudgetNanoseconds - min(spent, options.inlineBudgetNanoseconds)
      if left > 0 || step == 0 {
        let batch = lane.backlog[0]
        let rows = lane.curve.rows(within: left, limit: lane.limits.maximumRows)
        spent += score(batch, limit: rows, at: &clock)
        if batch.isDone {
          lane.backlog.removeFirst()
          complete(batch, now: clock)
        }
      }
      if !lane.backlog.isEmpty { isWorkLeft = true }
    }
    return isWorkLeft
  }

  /// Scores up to one part of a batch on this thread; returns the nanoseconds that it took.
  private func score(_ batch: Batch, limit: Int, at clock: inout MonotonicTime) -> UInt64 {
    let began = MonotonicTime.now()
    if batch.scoredRows == 0 { batch.scoringBegan = began }
    let rows = batch.scoreSome(limit: limit, scratch: batch.lane.scratch, now: began)
    clock = .now()
    let took = clock.nanoseconds(since: began)
    batch.scoringNanoseconds += took
    batch.lane.curve.observe(rows: rows, nanoseconds: took)
    if rows > 0 { batch.lane.statistics.batchRows.observe(UInt64(rows)) }
    // An inline batch has one part, unless calls in it expired.
    var total = took
    while limit == .max, !batch.isDone { total += score(batch, limit: limit, at: &clock) }
    return total
  }

  private func send(_ batch: Batch, to scorer: any BatchScorer) {
    away.append(batch)
    batch.lane.scoring += 1
    let post = self.post
    // The batcher lives as long as its reactor, and it is touched on the reactor's thread only.
    nonisolated(unsafe) let batcher = self
    scorer.submit(batch) { batch in
      post { batcher.cameBack(batch) }
    }
  }

  private func cameBack(_ batch: Batch) {
    batch.lane.scoring -= 1
    if let index = away.firstIndex(where: { $0 === batch }) { away.remove(at: index) }
    let lane = batch.lane
    lane.curve.observe(rows: batch.scoredRows, nanoseconds: batch.scoringNanoseconds)
    var rows = batch.scoredRows
    while rows > 0 {
      lane.statistics.batchRows.observe(UInt64(min(rows, lane.limits.maximumRows)))
      rows -= lane.limits.maximumRows
    }
    complete(batch)
  }

  /// - Parameter now: the time, which was read when the last row was scored; read anew without it.
  private func complete(_ batch: Batch, now: MonotonicTime? = nil) {
    let lane = batch.lane
    lane.statistics.rows.add(UInt64(batch.scoredRows))
    statistics.score.observe(batch.scoringNanoseconds)
    let began = now ?? .now()
    batch.scoringEnded = began
    let queue = Unmanaged.passUnretained(statistics.queue)
    let count = batch.calls.count
    for index in 0..<count {
      let waited = batch.scoringBegan.nanoseconds(since: batch.calls[index].arrived)
      queue._withUnsafeGuaranteedRef { $0.observe(waited) }
      if batch.calls[index].outcome == .expired { statistics.refusedDeadline.add() }
      lane.queuedRows -= batch.calls[index].rows
    }
    lane.queuedCalls -= count
    var first = 0
    while first < count {
      let consumer = batch.calls[first].consumer
      var end = first + 1
      while end < count, batch.calls[end].consumer == consumer { end += 1 }
      consumers[Int(consumer)].completed(calls: first..<end, of: batch)
      first = end
    }
    // One batch in so many is timed: another look at the clock each time would be seen.
    completed &+= 1
    if completed % Self.sampledBatches == 1 { statistics.encode.observe(MonotonicTime.now().nanoseconds(since: began)) }
    lane.showQueue()
    giveBack(batch, to: lane)
  }

  private func giveBack(_ batch: Batch, to lane: Lane) {
    let isLarge = batch.tile.blockBytes > Lane.smallTileBytes
    lane.giveBack(batch)
    guard isLarge, !lane.isResting else { return }
    lane.isResting = true
    resting.append(Resting(lane: lane))
    guard restingLook == .distantFuture else { return }
    restingLook = MonotonicTime.now().advanced(byNanoseconds: Self.restingNanoseconds)
    wake(restingLook)
  }

  /// Lets go what a burst has left, once it has not been needed for a second.
  private func lookAtResting(_ now: MonotonicTime) {
    resting.removeAll { other in
      guard let lane = other.lane else { return true }
      lane.dropUnneeded()
      lane.isResting = lane.keepsMuch
      return !lane.isResting
    }
    restingLook = resting.isEmpty ? .distantFuture : now.advanced(byNanoseconds: Self.restingNanoseconds)
    if !resting.isEmpty { wake(restingLook) }
  }
}

/// Numbers of one batcher; written by its reactor, read by scrapes.
public final class BatcherStatistics: MetricSource {
  public let queue = BucketHistogram.durations()
  public let score = BucketHistogram.durations()
  /// How long the answers of one batch took to write, one of several batches sampled.
  public let encode = BucketHistogram.durations()
  public let refusedQueueFull = Counter()
  public let refusedMemory = Counter()
  public let refusedDeadline = Counter()

  public init() {}

  public func collect(into collector: inout MetricCollector) {
    let stage = "martlet_stage_duration_seconds"
    let help = "Time that a stage of a call takes."
    collector.histogram(stage, help: help, labels: [(name: "stage", value: "queue")], queue)
    collector.histogram(stage, help: help, labels: [(name: "stage", value: "score")], score)
    collector.histogram(stage, help: help, labels: [(name: "stage", value: "encode")], encode)
    for (reason, counter) in [
      ("queue_full", refusedQueueFull), ("memory", refusedMemory), ("deadline", refusedDeadline),
    ] {
      collector.counter(
        "martlet_refused_total", help: "Calls refused before they were scored.",
        labels: [(name: "reason", value: reason)], counter.value)
    }
  }
}
