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
/// Run to completion: nothing waits on an idle machine, and batches grow by themselves under load. What is more than
/// the inline budget of a round waits in a scheduler, which says what the next rounds serve, and for which of the calls
/// that come there is no prospect; those are refused before their rows are read. A call that takes longer than the
/// budget by itself goes to a scorer, or, where there is none, is scored in parts. Confined to its reactor.
public final class Batcher {
  public struct Options: Sendable {
    /// Nanoseconds that a round may spend scoring, all models together.
    public var inlineBudgetNanoseconds: UInt64
    /// Priorities that callers may name, 1 the highest.
    public var priorityLevels: Int
    /// The priority of those who name none.
    public var defaultPriority: Int
    /// Calls in flight that are admitted whatever their latency is; nil does without the adaptive limit.
    public var adaptiveFloor: Int?
    /// Calls in flight at most.
    public var calls: Int

    public init(
      inlineBudgetNanoseconds: UInt64 = 200_000, priorityLevels: Int = 1, defaultPriority: Int = 1,
      adaptiveFloor: Int? = nil, calls: Int = .max
    ) {
      self.inlineBudgetNanoseconds = inlineBudgetNanoseconds
      self.adaptiveFloor = adaptiveFloor
      self.calls = calls
      self.priorityLevels = max(1, priorityLevels)
      self.defaultPriority = min(max(1, defaultPriority), self.priorityLevels)
    }
  }

  public let statistics: BatcherStatistics
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
  /// Predicted nanoseconds of the open batches whose calls are in no queue: they fit into the round together.
  private var fresh: UInt64 = 0
  /// What waits for the reactor.
  private var queue: CallQueue
  /// Long calls that wait for a scorer, where there is one.
  private var longQueue: CallQueue
  private var seats: [ModelSeat] = []
  /// The lanes whose calls this round serves, reused.
  private var picked: [Lane] = []
  /// Batches that went to a scorer and have not come back, and what they were predicted to need.
  private var away: [Batch] = []
  private var awayNanoseconds: UInt64 = 0
  private var inFlight = 0
  private var limit: AdaptiveLimit
  /// Calls in flight below which nothing is asked about their limit.
  private var easyCalls: Int

  public init(
    options: Options, scorer: (any BatchScorer)?, budget: MemoryBudget,
    post: @escaping @Sendable (@escaping @Sendable () -> Void) -> Void, wake: @escaping (MonotonicTime) -> Void,
    reactor: Int = 0
  ) {
    statistics = BatcherStatistics(reactor: reactor)
    self.options = options
    self.scorer = scorer
    self.budget = budget
    self.post = post
    self.wake = wake
    var scheduling = Scheduler.Options(
      levels: options.priorityLevels, budgetNanoseconds: options.inlineBudgetNanoseconds)
    queue = CallQueue(scheduling)
    scheduling.servers = scorer?.threads ?? 1
    longQueue = CallQueue(scheduling)
    limit = AdaptiveLimit(.init(floor: options.adaptiveFloor ?? options.calls, ceiling: options.calls))
    easyCalls = Self.easyPart(of: limit.limit)
    statistics.limit.set(UInt64(options.calls))
  }

  /// Registers a consumer; its number goes into its calls.
  public func add(_ consumer: any BatchConsumer) -> UInt8 {
    consumers.append(consumer)
    return UInt8(consumers.count - 1)
  }

  /// Whether no call waits or is being scored.
  public var isIdle: Bool { active.isEmpty && away.isEmpty }

  /// The level of callers who name no priority.
  public var defaultLevel: UInt8 { UInt8(options.defaultPriority - 1) }

  /// The level of a priority as callers name it: 1 is the highest, 0 the default; nil for one that there is not.
  public func level(ofPriority priority: UInt64) -> UInt8? {
    guard priority <= UInt64(options.priorityLevels) else { return nil }
    return priority == 0 ? defaultLevel : UInt8(priority - 1)
  }

  /// What is said of a priority that there is not.
  public func refusal(ofPriority priority: UInt64) -> Status {
    Status(
      .invalidArgument,
      "priority: \(priority); 1, the highest, to \(options.priorityLevels) or 0, the default, are expected")
  }

  // MARK: Calls in

  /// Room for `rows` rows of a call whose texts have `textBytes` bytes at most. The caller fills them and commits, or
  /// abandons; nothing else in between.
  ///
  /// Errors: DEADLINE_EXCEEDED when the call cannot be scored in time, RESOURCE_EXHAUSTED when too many rows wait or
  /// the memory for requests is used up.
  public func reserve(
    _ lane: Lane, rows: Int, textBytes: Int = 0, id: CallID, level: UInt8, deadline: MonotonicTime,
    now: MonotonicTime
  ) throws(Status) -> Reservation {
    if deadline == .distantFuture, inFlight < easyCalls, let room = lane.easyRoom(rows) { return room }
    return try decide(
      lane, rows: rows, textBytes: textBytes, id: id, level: level, deadline: deadline, now: now)
  }

  /// `reserve` and `commit` in one, for a call whose rows nothing can be wrong with: the caller fills them before it does
  /// anything else. Nil, and nothing happened, where something is to be decided.
  ///
  /// - Parameter call: its `firstRow` does not matter.
  public func take(_ call: BatchedCall, in lane: Lane) -> (tile: Unmanaged<Tile>, firstRow: Int)? {
    let rows = call.rows
    guard call.deadline == .distantFuture, inFlight < easyCalls, queue.scheduler.isEmpty, lane.fresh > 0 else {
      return nil
    }
    let cost = lane.curve.marginal(rows: rows)
    guard fresh &+ cost <= options.inlineBudgetNanoseconds, !isDetached(lane), let room = lane.easyRoom(rows) else {
      return nil
    }
    lane.fresh &+= cost
    fresh &+= cost
    lane.queuedRows += rows
    lane.queuedCalls += 1
    inFlight += 1
    Unmanaged.passUnretained(room.batch)._withUnsafeGuaranteedRef { $0.calls.append(call, firstRow: room.firstRow) }
    return (Unmanaged.passUnretained(room.tile), room.firstRow)
  }

  private func decide(
    _ lane: Lane, rows: Int, textBytes: Int, id: CallID, level: UInt8, deadline: MonotonicTime, now: MonotonicTime
  ) throws(Status) -> Reservation {
    let predicted = lane.curve.predict(rows: rows)
    let isLong =
      predicted > options.inlineBudgetNanoseconds && (options.inlineBudgetNanoseconds > 0 || scorer == nil)
    if deadline < .distantFuture {
      try admit(lane, rows, predicted, id, level, deadline, now, isLong)
    }
    guard hasRoom(inFlight + 1, of: limit.limit, lane, id, level) else {
      statistics.refusedLimit.add()
      throw Status(
        .resourceExhausted, "more calls are in flight than are answered in good time",
        retryNanoseconds: max(1, retryNanoseconds(level, isLong)))
    }
    guard hasRoom(lane.queuedRows + rows, of: lane.limits.maximumQueuedRows, lane, id, level) else {
      statistics.refusedQueueFull.add()
      throw Status(
        .resourceExhausted,
        "rows: \(rows) more while \(lane.queuedRows) wait; at most \(lane.limits.maximumQueuedRows) may wait",
        retryNanoseconds: retryNanoseconds(level, isLong))
    }
    // Texts are charged call by call.
    if !isLong, !lane.hasTexts, let room = lane.roomInOpen(rows) { return room }
    let batch: Batch
    if isLong {
      batch = lane.rent()
      batch.isLong = true
      lane.full.append(batch)
    } else {
      if let open = lane.open, open.rows + rows > lane.limits.maximumRows, open.rows > 0 { close(lane) }
      if let open = lane.open {
        batch = open
      } else {
        batch = lane.rent()
        lane.open = batch
        lane.openedAt = now
        lane.measureEase(budgetNanoseconds: options.inlineBudgetNanoseconds)
      }
    }
    let first = batch.rows
    let isFull = first + rows > batch.tile.capacity
    if isFull || lane.hasTexts || !batch.isCharged {
      let capacity = isFull ? max(first + rows, min(2 * batch.tile.capacity, lane.limits.maximumRows)) : 0
      guard grow(batch, to: capacity, textBytes: textBytes) else {
        statistics.refusedMemory.add()
        discardIfEmpty(batch, lane)
        throw Status(
          .resourceExhausted, "memory for requests: the limit is \(budget.limitBytes) bytes",
          retryNanoseconds: retryNanoseconds(level, isLong))
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
    discardIfEmpty(reservation.batch, reservation.batch.lane)
  }

  private func discardIfEmpty(_ batch: Batch, _ lane: Lane) {
    guard batch.rows == 0, batch.calls.isEmpty else { return }
    if lane.open === batch { lane.open = nil } else { lane.full.removeAll { $0 === batch } }
    giveBack(batch, to: lane)
  }

  /// Makes a filled reservation part of its batch.
  public func commit(_ reservation: Reservation, _ call: BatchedCall) {
    Unmanaged.passUnretained(reservation.batch)._withUnsafeGuaranteedRef { batch in
      batch.calls.append(call)
      inFlight += 1
      Unmanaged.passUnretained(batch.lane)._withUnsafeGuaranteedRef { lane in
        if lane.hasTexts { batch.settleCharge() }
        lane.queuedRows += call.rows
        lane.queuedCalls += 1
        order(call, in: batch, lane)
      }
    }
  }

  /// Notes what a call adds to the round, or lets it wait.
  @inline(__always)
  private func order(_ call: BatchedCall, in batch: Batch, _ lane: Lane) {
    if batch.isLong {
      enterCalls(of: batch)
      // What else the round brought is ordered with it.
      if scorer == nil, fresh > 0 { enterFresh() }
      return
    }
    if isDetached(lane) { return }
    if !queue.scheduler.isEmpty { return enterCalls(of: batch) }
    let cost =
      lane.fresh == 0 ? lane.curve.predict(rows: call.rows) : lane.curve.marginal(rows: call.rows)
    lane.fresh &+= cost
    fresh &+= cost
    if fresh > options.inlineBudgetNanoseconds { enterFresh() }
  }

  /// Whether a lane's batches go to a scorer when their delay is over, apart from what the reactor serves.
  private func isDetached(_ lane: Lane) -> Bool { scorer != nil && lane.limits.maximumDelayNanoseconds > 0 }

  // MARK: Admission

  private func admit(
    _ lane: Lane, _ rows: Int, _ predicted: UInt64, _ id: CallID, _ level: UInt8, _ deadline: MonotonicTime,
    _ now: MonotonicTime, _ isLong: Bool
  ) throws(Status) {
    let left = deadline.nanoseconds(since: now)
    let isForScorer = scorer != nil && (isLong || isDetached(lane))
    // A scorer that has nothing to do is waited for by nobody.
    let isScorerFree = away.count < scorer?.threads ?? 0
    let before = isForScorer ? (isScorerFree ? 0 : awayNanoseconds) : fresh
    if before == 0, isForScorer ? longQueue.scheduler.isEmpty : queue.scheduler.isEmpty {
      // Nothing is before it. What is known of the model may be wrong, and is learned from calls that are scored only.
      if predicted < left { return }
      lane.hopeless &+= 1
      if lane.hopeless % 8 == 0 { return }
    } else {
      let cost = max(1, lane.curve.marginal(rows: rows))
      let arrival = Scheduler.Arrival(
        model: seat(of: lane).number, client: Self.client(id), level: Int(level), deadline: deadline, arrived: now,
        cost: cost)
      let time =
        isForScorer
        ? longQueue.scheduler.predictedTime(of: arrival, besides: before)
        : queue.scheduler.predictedTime(of: arrival, besides: before)
      if time &+ (predicted > cost ? predicted - cost : 0) < left { return }
    }
    statistics.refusedDeadline.add()
    throw Status(
      .deadlineExceeded, "timeout_nano: what waits and the call itself take longer",
      retryNanoseconds: max(1, retryNanoseconds(level, isLong)))
  }

  /// What of a bound anybody may take.
  static func easyPart(of bound: Int) -> Int { bound - bound / 8 }

  /// Whether a bound is kept. While calls wait, its last eighth is for clients that have less waiting than others, so
  /// that one cannot take all of it.
  private func hasRoom(_ wanted: Int, of bound: Int, _ lane: Lane, _ id: CallID, _ level: UInt8) -> Bool {
    guard wanted <= bound else { return false }
    if wanted <= Self.easyPart(of: bound) || queue.scheduler.isEmpty { return true }
    return queue.scheduler.isWithinShare(
      model: seat(of: lane).number, client: Self.client(id), level: Int(level))
  }

  private func retryNanoseconds(_ level: UInt8, _ isLong: Bool) -> UInt64 {
    isLong && scorer != nil
      ? longQueue.scheduler.retryNanoseconds(level: Int(level), besides: awayNanoseconds)
      : queue.scheduler.retryNanoseconds(level: Int(level), besides: fresh)
  }

  private static func client(_ id: CallID) -> UInt64 { UInt64(id.generation) << 32 | UInt64(id.connection) }

  /// The lane's number in both schedulers; numbers of models that are gone are given again.
  private func seat(of lane: Lane) -> ModelSeat {
    if let seat = lane.seat { return seat }
    seats.removeAll { seat in
      guard seat.isRetired, queue.scheduler.isIdle(seat.number), longQueue.scheduler.isIdle(seat.number) else {
        return false
      }
      queue.scheduler.removeModel(seat.number)
      longQueue.scheduler.removeModel(seat.number)
      return true
    }
    let number = queue.scheduler.addModel(weight: lane.weight)
    let other = longQueue.scheduler.addModel(weight: lane.weight)
    precondition(number == other, "both schedulers give the same numbers")
    let seat = ModelSeat(number: number)
    lane.seat = seat
    seats.append(seat)
    return seat
  }

  /// More has come than a round serves: all of it waits in the queue, which says what is first.
  private func enterFresh() {
    for lane in active where !isDetached(lane) {
      if let open = lane.open { enterOrDrop(open) }
    }
    fresh = 0
  }

  /// Lets the calls of a batch wait; a batch whose calls have all gone has nothing to wait for.
  private func enterOrDrop(_ batch: Batch) {
    enterCalls(of: batch)
    guard batch.waiting == 0 else { return }
    take(batch, from: batch.lane)
    giveBack(batch, to: batch.lane)
  }

  private func enterCalls(of batch: Batch) {
    let lane = batch.lane
    let number = seat(of: lane).number
    if !batch.isLong {
      fresh &-= lane.fresh
      lane.fresh = 0
    }
    for index in batch.entered..<batch.calls.count where batch.calls[index].outcome == .waiting {
      let call = batch.calls[index]
      let arrival = Scheduler.Arrival(
        model: number, client: Self.client(call.id), level: Int(call.level), deadline: call.deadline,
        arrived: call.arrived, cost: lane.curve.marginal(rows: call.rows),
        isDivisible: batch.isLong && scorer == nil)
      let place = CallPlace(batch: batch, call: index)
      batch.calls[index].ticket =
        batch.isLong && scorer != nil ? longQueue.enter(arrival, at: place) : queue.enter(arrival, at: place)
      batch.waiting += 1
    }
    batch.entered = batch.calls.count
  }

  // MARK: Cancellation

  /// Whether a call waited; then its rows are not scored, and it is completed as cancelled.
  public func cancel(_ id: CallID) -> Bool {
    for lane in active {
      if let open = lane.open, cancel(in: open, where: { $0 == id }) { return true }
      for batch in lane.full where cancel(in: batch, where: { $0 == id }) { return true }
    }
    return false
  }

  /// Cancels what a connection has waiting.
  public func cancel(connection: UInt32, generation: UInt32) {
    for lane in active {
      if let open = lane.open {
        _ = cancel(in: open) { $0.connection == connection && $0.generation == generation }
      }
      // A batch leaves the list when its last call does.
      for batch in lane.full {
        _ = cancel(in: batch) { $0.connection == connection && $0.generation == generation }
      }
    }
  }

  private func cancel(in batch: Batch, where matches: (CallID) -> Bool) -> Bool {
    var found = false
    for index in batch.calls.indices where batch.calls[index].outcome == .waiting && matches(batch.calls[index].id) {
      found = true
      batch.calls[index].outcome = .cancelled
      let ticket = batch.calls[index].ticket
      if ticket >= 0, batch.isLong && scorer != nil {
        longQueue.scheduler.remove(ticket)
      } else if ticket >= 0 {
        queue.scheduler.remove(ticket)
      }
      completeApart(CallPlace(batch: batch, call: index))
      // The batch may have gone with its last waiting call.
      if batch.calls.isEmpty { break }
    }
    return found
  }

  // MARK: Rounds

  /// Scores what the round brought.
  ///
  /// - Returns: whether work is left that need not wait for anything.
  public func roundEnded(now: MonotonicTime) -> Bool {
    if now >= restingLook { lookAtResting(now) }
    guard !active.isEmpty else {
      statistics.backlog.set(awayNanoseconds)
      return false
    }
    var clock = now
    var nextDue = MonotonicTime.distantFuture
    var isWorkLeft = false
    for lane in active { lane.showQueue() }
    scoreFresh(&clock, &nextDue)
    if !queue.scheduler.isEmpty {
      isWorkLeft = serveQueue()
    }
    if scorer != nil { serveLongQueue() }
    active.removeAll { lane in
      let isIdle = (lane.open.map { $0.rows == 0 && $0.calls.isEmpty } ?? true) && lane.full.isEmpty
      if isIdle { lane.isActive = false }
      return isIdle
    }
    let isQuiet = queue.scheduler.isEmpty && longQueue.scheduler.isEmpty
    statistics.backlog.set(
      isQuiet ? awayNanoseconds : queue.scheduler.backlog &+ longQueue.scheduler.backlog &+ awayNanoseconds)
    if nextDue < .distantFuture { wake(nextDue) }
    return isWorkLeft
  }

  /// Scores the batches whose calls are in no queue, unless they are to wait for more rows.
  private func scoreFresh(_ clock: inout MonotonicTime, _ nextDue: inout MonotonicTime) {
    firstOfRound = (firstOfRound + 1) % active.count
    for step in 0..<active.count {
      let lane = active[(firstOfRound + step) % active.count]
      guard let batch = lane.open, batch.entered == 0, !batch.calls.isEmpty else { continue }
      if lane.limits.maximumDelayNanoseconds > 0, batch.rows < lane.limits.preferredRows,
        lane.curve.waitingPays(rows: batch.rows)
      {
        let due = lane.openedAt.advanced(byNanoseconds: lane.limits.maximumDelayNanoseconds)
        if clock < due {
          nextDue = min(nextDue, due)
          continue
        }
      }
      lane.open = nil
      fresh &-= lane.fresh
      lane.fresh = 0
      if isDetached(lane), let scorer {
        send(batch, to: scorer)
      } else {
        score(batch, at: &clock)
        complete(batch, now: clock)
      }
    }
  }

  /// Closes the open batch: it takes no more rows.
  private func close(_ lane: Lane) {
    guard let batch = lane.open else { return }
    lane.open = nil
    if isDetached(lane), let scorer { return send(batch, to: scorer) }
    lane.full.append(batch)
    if batch.entered == 0 { enterOrDrop(batch) }
  }

  /// Serves a round's worth of what waits.
  private func serveQueue() -> Bool {
    for lane in active {
      if let seat = lane.seat {
        queue.scheduler.setFixedCost(ofModel: seat.number, lane.curve.predict(rows: 0))
      }
    }
    var clock = MonotonicTime.now()
    if options.inlineBudgetNanoseconds > 0 || scorer == nil {
      queue.scheduler.beginRound()
      pick(&clock)
      for lane in picked { serve(lane, at: &clock, scorer: nil) }
      picked.removeAll(keepingCapacity: true)
      queue.scheduler.endRound(now: clock)
    }
    // What is more than the reactor's part is the scorers', as long as they have nothing else to do.
    if let scorer, away.count < scorer.threads, longQueue.scheduler.isEmpty, !queue.scheduler.isEmpty {
      queue.scheduler.beginRound(budget: max(2 * options.inlineBudgetNanoseconds, 200_000))
      pick(&clock)
      for lane in picked { serve(lane, at: &clock, scorer: scorer) }
      picked.removeAll(keepingCapacity: true)
      return !queue.scheduler.isEmpty && options.inlineBudgetNanoseconds > 0
    }
    return !queue.scheduler.isEmpty && (options.inlineBudgetNanoseconds > 0 || scorer == nil)
  }

  /// Asks the scheduler what a round serves, and notes it with the lanes.
  private func pick(_ clock: inout MonotonicTime) {
    while let decision = queue.scheduler.next(now: clock) {
      switch decision {
      case .serve(let ticket):
        let place = queue[ticket]
        let lane = place.batch.lane
        if lane.picks.isEmpty { picked.append(lane) }
        lane.picks.append(place)
      case .serveSome(let ticket, let nanoseconds):
        scorePart(ticket, nanoseconds, &clock)
      case .expired(let ticket):
        let place = queue[ticket]
        place.batch.calls[place.call].outcome = .expired
        completeApart(place)
      }
    }
  }

  private func scorePart(_ ticket: Int32, _ nanoseconds: UInt64, _ clock: inout MonotonicTime) {
    let batch = queue[ticket].batch
    let lane = batch.lane
    let rows = score(batch, limit: lane.curve.part(within: nanoseconds, limit: lane.limits.maximumRows), at: &clock)
    if batch.isDone {
      queue.scheduler.remove(ticket)
      take(batch, from: lane)
      complete(batch, now: clock)
    } else {
      queue.scheduler.progressed(
        ticket, nanoseconds: lane.curve.marginal(rows: rows),
        remaining: lane.curve.marginal(rows: batch.rows - batch.scoredRows))
    }
  }

  /// Scores the calls of a lane that were picked, as one batch; or sends them to a scorer.
  private func serve(_ lane: Lane, at clock: inout MonotonicTime, scorer: (any BatchScorer)?) {
    defer { lane.picks.removeAll(keepingCapacity: true) }
    var gathered: Batch?
    func finish(_ batch: Batch) {
      if let scorer { return send(batch, to: scorer) }
      score(batch, at: &clock)
      complete(batch, now: clock)
    }
    for index in 0..<lane.picks.count {
      let place = lane.picks[index]
      let batch = place.batch
      // Batches of places that were served may be gone: all of them are looked at before the first only.
      if batch.isLong || (index == 0 && batch.calls.count == lane.picks.count && isAlone(batch, lane)) {
        // All of what lies in it: it is scored where it is.
        let isLong = batch.isLong
        take(batch, from: lane)
        finish(batch)
        if isLong { continue } else { break }
      }
      let call = batch.calls[place.call]
      if let full = gathered, full.rows + call.rows > lane.limits.maximumRows {
        finish(full)
        gathered = nil
      }
      let target = gathered ?? lane.rent()
      gathered = target
      move(place, to: target)
    }
    if let gathered { finish(gathered) }
  }

  /// Whether all picks of the lane lie in this batch.
  private func isAlone(_ batch: Batch, _ lane: Lane) -> Bool {
    for place in lane.picks where place.batch !== batch { return false }
    return true
  }

  private func move(_ place: CallPlace, to target: Batch) {
    let source = place.batch
    var call = source.calls[place.call]
    if target.rows + call.rows > target.tile.capacity {
      // Not charged to the budget: a lane has one such batch at a time, of at most the largest batch's rows.
      target.tile.grow(to: max(target.rows + call.rows, min(2 * target.tile.capacity, source.lane.limits.maximumRows)))
    }
    let first = target.rows
    target.tile.append(rows: call.firstRow..<(call.firstRow + call.rows), of: source.tile)
    call.firstRow = first
    call.ticket = -1
    target.calls.append(call)
    source.calls[place.call].outcome = .gone
    leave(source)
  }

  /// A call has left the batch that it waited in; the batch goes with its last.
  private func leave(_ batch: Batch) {
    batch.waiting -= 1
    guard batch.waiting == 0 else { return }
    take(batch, from: batch.lane)
    giveBack(batch, to: batch.lane)
  }

  private func take(_ batch: Batch, from lane: Lane) {
    if lane.open === batch {
      lane.open = nil
    } else if let index = lane.full.firstIndex(where: { $0 === batch }) {
      lane.full.remove(at: index)
    }
  }

  // MARK: Scoring

  /// Scores all of a batch on this thread.
  private func score(_ batch: Batch, at clock: inout MonotonicTime) {
    repeat { _ = score(batch, limit: .max, at: &clock) } while !batch.isDone
  }

  /// Scores up to one part of a batch on this thread; returns its rows.
  private func score(_ batch: Batch, limit: Int, at clock: inout MonotonicTime) -> Int {
    let began = MonotonicTime.now()
    if batch.scoredRows == 0 { batch.scoringBegan = began }
    let rows = batch.scoreSome(limit: limit, scratch: batch.lane.scratch, now: began)
    batch.lane.isScratchUsed = true
    clock = .now()
    let took = clock.nanoseconds(since: began)
    batch.scoringNanoseconds += took
    batch.lane.curve.observe(rows: rows, nanoseconds: took)
    if rows > 0 { batch.lane.statistics.batchRows.observe(UInt64(rows)) }
    return rows
  }

  /// Long calls go to the scorers one by one, so that those that come may still be first.
  private func serveLongQueue() {
    guard let scorer else { return }
    let now = MonotonicTime.now()
    while away.count < scorer.threads {
      longQueue.scheduler.beginRound(budget: 0)
      guard let decision = longQueue.scheduler.next(now: now) else { return }
      switch decision {
      case .serve(let ticket), .serveSome(let ticket, _):
        let batch = longQueue[ticket].batch
        take(batch, from: batch.lane)
        send(batch, to: scorer)
      case .expired(let ticket):
        let place = longQueue[ticket]
        place.batch.calls[place.call].outcome = .expired
        completeApart(place)
      }
    }
  }

  private func send(_ batch: Batch, to scorer: any BatchScorer) {
    away.append(batch)
    batch.lane.scoring += 1
    batch.predicted = batch.lane.curve.predict(rows: batch.rows)
    awayNanoseconds &+= batch.predicted
    let post = self.post
    // The batcher lives as long as its reactor, and it is touched on the reactor's thread only.
    nonisolated(unsafe) let batcher = self
    scorer.submit(batch) { batch in
      post { batcher.cameBack(batch) }
    }
  }

  private func cameBack(_ batch: Batch) {
    batch.lane.scoring -= 1
    awayNanoseconds &-= batch.predicted
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

  // MARK: Answers

  /// - Parameter now: the time, which was read when the last row was scored; read anew without it.
  private func complete(_ batch: Batch, now: MonotonicTime? = nil) {
    let lane = batch.lane
    lane.statistics.rows.add(UInt64(batch.scoredRows))
    statistics.score.observe(batch.scoringNanoseconds)
    let began = now ?? .now()
    batch.scoringEnded = began
    let queue = Unmanaged.passUnretained(statistics.queue)
    let count = batch.calls.count
    // Calls that came in one round have waited equally long.
    var arrived = MonotonicTime(nanoseconds: 0)
    var alike: UInt64 = 0
    var answered = 0
    var latency: UInt64 = 0
    for index in 0..<count where batch.calls[index].outcome != .gone {
      if batch.calls[index].arrived != arrived {
        let waited = batch.scoringBegan.nanoseconds(since: arrived)
        if alike > 0 { queue._withUnsafeGuaranteedRef { $0.observe(waited, times: alike) } }
        arrived = batch.calls[index].arrived
        alike = 0
      }
      alike += 1
      answered += 1
      latency &+= began.nanoseconds(since: arrived)
      if batch.calls[index].outcome == .expired { statistics.refusedExpired.add() }
      lane.queuedRows -= batch.calls[index].rows
    }
    if alike > 0 {
      queue._withUnsafeGuaranteedRef { $0.observe(batch.scoringBegan.nanoseconds(since: arrived), times: alike) }
    }
    lane.queuedCalls -= answered
    inFlight -= answered
    var first = 0
    while first < count {
      guard batch.calls[first].outcome != .gone else {
        first += 1
        continue
      }
      let consumer = batch.calls[first].consumer
      var end = first + 1
      while end < count, batch.calls[end].consumer == consumer, batch.calls[end].outcome != .gone { end += 1 }
      consumers[Int(consumer)].completed(calls: first..<end, of: batch)
      first = end
    }
    // One batch in so many is timed: another look at the clock each time would be seen.
    completed &+= 1
    if completed % Self.sampledBatches == 1 { statistics.encode.observe(MonotonicTime.now().nanoseconds(since: began)) }
    if options.adaptiveFloor != nil {
      limit.answered(calls: UInt64(answered), latencySum: latency, now: began)
      easyCalls = Self.easyPart(of: limit.limit)
      statistics.limit.set(UInt64(limit.limit))
    }
    lane.showQueue()
    giveBack(batch, to: lane)
  }

  private func giveBack(_ batch: Batch, to lane: Lane) {
    let isLarge = batch.tile.blockBytes > Lane.smallBytes || lane.scratch.bytes > Lane.smallBytes
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

  /// Completes a call that is not scored before its batch.
  private func completeApart(_ place: CallPlace) {
    let batch = place.batch
    let lane = batch.lane
    let call = batch.calls[place.call]
    if call.outcome == .expired { statistics.refusedExpired.add() }
    lane.queuedRows -= call.rows
    consumers[Int(call.consumer)].completed(call: place.call, of: batch)
    batch.calls[place.call].outcome = .gone
    lane.queuedCalls -= 1
    lane.showQueue()
    inFlight -= 1
    if call.ticket >= 0 { leave(batch) }
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
  /// Refused as they came, for they could not have been in time.
  public let refusedDeadline = Counter()
  /// Not scored, for their deadlines passed while they waited.
  public let refusedExpired = Counter()
  /// Refused as they came, for more in flight would only have waited longer.
  public let refusedLimit = Counter()
  /// Calls in flight that are admitted now.
  public let limit = Counter()
  /// Predicted nanoseconds of what waits or is being scored.
  public let backlog = Counter()

  private let reactor: String

  public init(reactor: Int = 0) { self.reactor = String(reactor) }

  public func collect(into collector: inout MetricCollector) {
    let stage = "martlet_stage_duration_seconds"
    let help = "Time that a stage of a call takes."
    collector.histogram(stage, help: help, labels: [(name: "stage", value: "queue")], queue)
    collector.histogram(stage, help: help, labels: [(name: "stage", value: "score")], score)
    collector.histogram(stage, help: help, labels: [(name: "stage", value: "encode")], encode)
    for (reason, counter) in [
      ("queue_full", refusedQueueFull), ("memory", refusedMemory), ("deadline", refusedDeadline),
      ("expired", refusedExpired), ("limit", refusedLimit),
    ] {
      collector.counter(
        "martlet_refused_total", help: "Calls refused before they were scored.",
        labels: [(name: "reason", value: reason)], counter.value)
    }
    collector.gauge(
      "martlet_reactor_calls_limit", help: "Calls in flight that a reactor admits now.",
      labels: [(name: "reactor", value: reactor)], Double(limit.value))
    collector.gauge(
      "martlet_reactor_backlog_seconds", help: "Predicted time of what waits for a reactor and its scorers.",
      labels: [(name: "reactor", value: reactor)], Double(backlog.value) * 1e-9)
  }
}
