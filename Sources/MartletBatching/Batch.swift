import MartletCore

/// A call whose rows lie in a batch.
@frozen
public struct BatchedCall: Sendable {
  public enum Outcome: UInt8, Sendable {
    case waiting
    case scored
    case failed
    case expired
    case cancelled
    /// Answered already, or moved to another batch.
    case gone
  }

  public var id: CallID
  /// Which of the batcher's consumers gets the result.
  public var consumer: UInt8
  /// The consumer's own note about the call.
  public var context: UInt32
  public var firstRow: Int
  public var rows: Int
  public var arrived: MonotonicTime
  public var deadline: MonotonicTime
  /// Its priority, 0 the highest.
  public var level: UInt8
  public internal(set) var outcome = Outcome.waiting
  /// Its place in a scheduler, while it waits there.
  var ticket: Int32 = -1

  @inlinable
  public init(
    id: CallID, consumer: UInt8, context: UInt32, firstRow: Int, rows: Int, arrived: MonotonicTime,
    deadline: MonotonicTime, level: UInt8 = 0
  ) {
    self.id = id
    self.consumer = consumer
    self.context = context
    self.firstRow = firstRow
    self.rows = rows
    self.arrived = arrived
    self.deadline = deadline
    self.level = level
  }
}

/// Rows of one model that are scored together, and the calls that they belong to.
///
/// `@unchecked Sendable`: like its tile, a batch has one owner at a time; it goes to a scorer and comes back through
/// the mailbox of its reactor.
public final class Batch: @unchecked Sendable {
  public let lane: Lane
  public let tile: Tile
  public internal(set) var calls = CallList(capacity: 64)
  /// Calls that wait in a scheduler, and how many of `calls` have been entered there.
  var waiting = 0
  var entered = 0
  /// Whether it holds one long call, which is scored where it lies.
  var isLong = false
  /// What a scorer that has it was predicted to need.
  var predicted: UInt64 = 0
  /// Why single calls failed; rare, so apart from the calls.
  var failures: [(call: Int, status: Status)] = []
  /// Rows to score, without those of calls that expired or went away; in parts of at most the largest batch.
  private var parts: [Range<Int>] = []
  private var nextPart = 0
  private var isPlanned = false
  /// When the scoring began and what it took.
  public internal(set) var scoringBegan = MonotonicTime(nanoseconds: 0)
  public internal(set) var scoringNanoseconds: UInt64 = 0
  public internal(set) var scoredRows = 0
  /// When the last row was scored and answering began.
  public internal(set) var scoringEnded = MonotonicTime(nanoseconds: 0)

  /// What the tile and its texts are charged to, and how many bytes.
  private var budget: MemoryBudget?
  private var chargedBytes = 0

  init(lane: Lane, capacity: Int) {
    self.lane = lane
    tile = Tile(plan: lane.plan, capacity: capacity)
  }

  deinit {
    calls.deallocate()
    budget?.giveBack(chargedBytes)
  }

  /// Whether what it began with is charged.
  var isCharged: Bool { chargedBytes > 0 }

  /// Bytes of memory of its rows and texts.
  private var heldBytes: Int { tile.blockBytes + tile.texts.heldBytes }

  /// Makes room for `capacity` rows and for texts of `textBytes` bytes together if the budget grants the memory; it is
  /// given back when the batch goes.
  func grow(to capacity: Int, textBytes: Int, from budget: MemoryBudget) -> Bool {
    let blocks = capacity > tile.capacity ? tile.bytes(forRows: capacity) : tile.blockBytes
    let texts = lane.hasTexts ? tile.texts.growth(for: textBytes) : 0
    // What it began with is charged here as well.
    let more = blocks + tile.texts.heldBytes + texts - chargedBytes
    if more > 0 {
      guard budget.take(more) else { return false }
      self.budget = budget
      chargedBytes += more
    }
    tile.grow(to: capacity)
    return true
  }

  /// Charges what it holds: less than was granted for texts, or more when a step of the model made some.
  func settleCharge() {
    let held = heldBytes
    guard held != chargedBytes, let budget else { return }
    budget.giveBack(chargedBytes - held)
    chargedBytes = held
  }

  var rows: Int { tile.rows }
  var isDone: Bool { isPlanned && nextPart == parts.count }

  func reset() {
    calls.removeAll()
    if !failures.isEmpty { failures.removeAll() }
    parts.removeAll(keepingCapacity: true)
    nextPart = 0
    isPlanned = false
    waiting = 0
    entered = 0
    isLong = false
    predicted = 0
    scoringNanoseconds = 0
    scoredRows = 0
    tile.reset()
    settleCharge()
  }

  /// The status of a call that did not end well.
  public func status(ofCall index: Int) -> Status? {
    switch calls[index].outcome {
    case .scored: nil
    case .expired: Status(.deadlineExceeded, "the deadline passed before the rows were scored")
    case .cancelled: Status(.cancelled, "the caller went away")
    case .failed, .waiting, .gone:
      failures.first { $0.call == index }?.status ?? Status(.internalError, "the rows were not scored")
    }
  }

  /// Takes out what need not be scored any more and cuts the rest into parts.
  private func plan(now: MonotonicTime) {
    isPlanned = true
    let limit = lane.limits.maximumRows
    var start = 0
    var end = 0
    func cut() {
      while start < end {
        let stop = min(end, start + limit)
        parts.append(start..<stop)
        start = stop
      }
    }
    for index in 0..<calls.count {
      let call = calls[index]
      if call.outcome == .waiting, call.deadline <= now { calls[index].outcome = .expired }
      guard calls[index].outcome == .waiting, call.rows > 0 else { continue }
      if call.firstRow != end {
        cut()
        start = call.firstRow
      }
      end = call.firstRow + call.rows
    }
    cut()
  }

  /// Scores the next part, or as many of its rows as `limit` says. Returns when everything is scored.
  ///
  /// - Returns: how many rows were scored.
  func scoreSome(limit: Int, scratch: PlanScratch, now: MonotonicTime) -> Int {
    if !isPlanned { plan(now: now) }
    guard nextPart < parts.count else {
      finish()
      return 0
    }
    var part = parts[nextPart]
    if part.count > limit {
      parts[nextPart] = (part.lowerBound + limit)..<part.upperBound
      part = part.lowerBound..<(part.lowerBound + limit)
    } else {
      nextPart += 1
    }
    do throws(Status) {
      try lane.plan.score(tile, rows: part, scratch: scratch)
    } catch {
      scoreApart(part, scratch)
    }
    scoredRows += part.count
    if nextPart == parts.count { finish() }
    return part.count
  }

  /// What is left to score, in at most `pieces` more parts than there are: for threads that score parts at once. The
  /// batch then waits for `finishParts`.
  ///
  /// Texts that operators make lie in the heap of the tile, which one thread fills at a time: a batch with texts stays
  /// as it is.
  func takeParts(pieces: Int, now: MonotonicTime) -> [Range<Int>] {
    if !isPlanned { plan(now: now) }
    let left = Array(parts[nextPart...])
    nextPart = parts.count
    let signature = lane.plan.signature
    guard pieces > 1, !signature.inputs.contains(where: { $0.type == .text }),
      !signature.outputs.contains(where: { $0.type == .text })
    else { return left }
    let rows = left.reduce(0) { $0 + $1.count }
    // Whole vectors of rows.
    let size = max(64, (rows / pieces + 63) / 64 * 64)
    return left.flatMap { part in
      stride(from: part.lowerBound, to: part.upperBound, by: size).map { $0..<min($0 + size, part.upperBound) }
    }
  }

  /// All parts that were taken are scored, but those that failed.
  func finishParts(failed: [Range<Int>], rows: Int, nanoseconds: UInt64, scratch: PlanScratch) {
    for part in failed { scoreApart(part, scratch) }
    scoredRows += rows
    scoringNanoseconds += nanoseconds
    finish()
  }

  /// A row that the model refuses must fail its own call only: the part's calls are scored one by one.
  private func scoreApart(_ part: Range<Int>, _ scratch: PlanScratch) {
    for index in calls.indices where calls[index].outcome == .waiting {
      let rows = (calls[index].firstRow..<(calls[index].firstRow + calls[index].rows)).clamped(to: part)
      guard !rows.isEmpty else { continue }
      do throws(Status) {
        try lane.plan.score(tile, rows: rows, scratch: scratch)
      } catch {
        calls[index].outcome = .failed
        failures.append((index, error))
      }
    }
  }

  private func finish() {
    settleCharge()
    for index in 0..<calls.count where calls[index].outcome == .waiting { calls[index].outcome = .scored }
  }
}
