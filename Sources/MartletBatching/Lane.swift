import MartletCore

/// The way of one model's rows through one reactor: the batch that gathers, those that wait, and what was learned
/// about their cost. Confined to its reactor, but for what is immutable.
public final class Lane {
  public let plan: any ScoringPlan
  /// The model that the plan belongs to; whoever made the lane knows its type.
  public let owner: AnyObject
  public let limits: BatchLimits
  public let statistics: LaneStatistics
  public internal(set) var curve: CostCurve
  /// What the model's share of the time is in proportion to.
  public let weight: Double

  let scratch: PlanScratch
  /// Whether it was used since `dropUnneeded`.
  var isScratchUsed = false
  /// Whether rows of the model bring or make texts, which take memory beside the tile's blocks.
  let hasTexts: Bool
  /// The batch that takes rows.
  var open: Batch?
  /// When the first row of the open batch came.
  var openedAt = MonotonicTime(nanoseconds: 0)
  /// Batches with waiting calls that take no more, the oldest first.
  var full: [Batch] = []
  /// Predicted nanoseconds of the open batch, while its calls wait for the end of their round only.
  var fresh: UInt64 = 0
  /// The calls that this round serves, reused.
  var picks: [CallPlace] = []
  /// Its place in the schedulers.
  var seat: ModelSeat?
  /// Calls that were expected to be too late although nothing was before them.
  var hopeless: UInt64 = 0
  /// Batches that scorers have.
  var scoring = 0
  /// Rows that were taken in and not answered yet.
  var queuedRows = 0
  /// The same in calls.
  var queuedCalls = 0
  /// Rows of a call for which nothing is to be decided, and rows that may wait with it.
  private var easyRows = -1
  private let easyQueuedRows: Int
  var isActive = false

  private static let keptBatches = 8
  private static let keptTileBytes = 4 << 20
  private static let firstCapacity = 64
  /// What tiles and scratch memory may hold without being looked at.
  static let smallBytes = 64 << 10
  private var free: [Batch] = []
  /// The fewest free batches since `dropUnneeded`.
  private var unneeded = 0
  /// Whether the batcher looks once in a while at what is free.
  var isResting = false
  private var isRetired = false

  public init(
    plan: any ScoringPlan, owner: AnyObject, limits: BatchLimits, statistics: LaneStatistics, weight: Double = 1
  ) {
    self.plan = plan
    self.weight = weight
    curve = CostCurve(plan.costCurve)
    self.owner = owner
    self.limits = limits
    self.statistics = statistics
    scratch = plan.makeScratch()
    easyQueuedRows = Batcher.easyPart(of: limits.maximumQueuedRows)
    hasTexts = plan.signature.inputs.contains { $0.type == .text }
    statistics.queueLimitRows.set(UInt64(limits.maximumQueuedRows))
  }

  /// Notes up to how many rows a call is not a long one, as long as the open batch gathers.
  func measureEase(budgetNanoseconds budget: UInt64) {
    guard !hasTexts, curve.predict(rows: 1) <= budget else {
      easyRows = -1
      return
    }
    easyRows = curve.rows(within: budget, limit: limits.maximumRows)
  }

  /// Room for a call for which nothing is to be decided: no bound is near, and the open batch has room for it.
  @inline(__always)
  func easyRoom(_ rows: Int) -> Reservation? {
    guard rows <= easyRows, queuedRows + rows <= easyQueuedRows else { return nil }
    return roomInOpen(rows)
  }

  /// Room for `rows` rows in the open batch, when it is there already and large enough: nothing to be decided.
  @inline(__always)
  func roomInOpen(_ rows: Int) -> Reservation? {
    guard isActive, let open = open.map(Unmanaged.passUnretained) else { return nil }
    return open._withUnsafeGuaranteedRef { batch -> Reservation? in
      let tile = Unmanaged.passUnretained(batch.tile)
      return tile._withUnsafeGuaranteedRef { tile -> Reservation? in
        let first = tile.rows
        guard first + rows <= tile.capacity, first + rows <= limits.maximumRows else { return nil }
        tile.rows = first + rows
        return Reservation(batch: batch, tile: tile, firstRow: first, rows: rows, texts: tile.texts.position)
      }
    }
  }

  /// Shows scrapes what waits.
  func showQueue() {
    statistics.queuedRows.set(UInt64(queuedRows))
    statistics.callsInFlight.set(UInt64(queuedCalls))
  }

  /// Whether a free batch or the scratch memory holds more than most calls need.
  var keepsMuch: Bool { scratch.bytes > Self.smallBytes || free.contains { $0.tile.blockBytes > Self.smallBytes } }

  /// Lets go the large ones of the free batches, and large scratch memory, that were not needed since this was called
  /// last.
  func dropUnneeded() {
    if !isScratchUsed, scratch.bytes > Self.smallBytes { scratch.drop() }
    isScratchUsed = false
    var droppable = min(unneeded, free.count)
    free.removeAll { batch in
      guard droppable > 0, batch.tile.blockBytes > Self.smallBytes else { return false }
      droppable -= 1
      return true
    }
    unneeded = free.count
  }

  /// Lets all free batches go.
  func dropFree() { free.removeAll() }

  func rent() -> Batch {
    defer { unneeded = min(unneeded, free.count) }
    return free.popLast() ?? Batch(lane: self, capacity: min(Self.firstCapacity, limits.maximumRows))
  }

  /// The model does not serve any more: batches are not kept after they are answered. Kept ones hold their lane, so
  /// without this neither would ever be freed.
  public func retire() {
    isRetired = true
    seat?.isRetired = true
    free.removeAll()
  }

  func giveBack(_ batch: Batch) {
    batch.reset()
    // One large call must not hold its memory for ever.
    if !isRetired, free.count < Self.keptBatches, batch.tile.blockBytes <= Self.keptTileBytes { free.append(batch) }
  }
}

/// A model's number in the schedulers of a batcher; outlives its lane until the batcher gives the number to another.
final class ModelSeat {
  let number: Int32
  var isRetired = false

  init(number: Int32) { self.number = number }
}

/// Where a waiting call's rows lie.
struct CallPlace {
  /// Its lane holds the batch as long as the call waits.
  unowned(unsafe) var batch: Batch
  var call: Int
}

/// Numbers of one lane; written by its reactor, read by scrapes.
public final class LaneStatistics: MetricSource {
  public let model: String
  public let version: String
  public let rows = Counter()
  public let batchRows = BucketHistogram.rows()
  public let queuedRows = Counter()
  public let queueLimitRows = Counter()
  public let callsInFlight = Counter()

  public init(model: String, version: String) {
    self.model = model
    self.version = version
  }

  public func collect(into collector: inout MetricCollector) {
    let labels = [(name: "model", value: model), (name: "version", value: version)]
    let model = [(name: "model", value: model)]
    collector.counter("martlet_rows_total", help: "Rows scored.", labels: labels, rows.value)
    collector.histogram("martlet_batch_rows", help: "Rows scored together.", labels: labels, batchRows)
    collector.gauge(
      "martlet_queue_rows", help: "Rows taken in and not answered yet.", labels: model, Double(queuedRows.value))
    collector.gauge(
      "martlet_queue_limit_rows", help: "Rows that may wait before calls are refused.", labels: model,
      Double(queueLimitRows.value))
    collector.gauge(
      "martlet_calls_in_flight", help: "Calls taken in and not answered yet.", labels: model,
      Double(callsInFlight.value))
  }
}
