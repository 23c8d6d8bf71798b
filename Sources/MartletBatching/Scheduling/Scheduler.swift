import MartletCore

/// Which waiting call is scored next, and whether a new one can be in time.
///
/// Strictly by priority, except that a lower one gets a call served once in `starvationRounds` rounds; within a
/// priority models share by their weights and the clients of a model evenly, in predicted time; and of those whose
/// share is not used up the earliest deadline is served first, then the earliest arrival (`FairOrder`).
///
/// A value that does no input or output and is told the time, so that a simulation drives the very code that serves.
/// It names calls by tickets, small numbers that are used again. Nothing is allocated once as many calls, clients and
/// models have been seen as there are.
public struct Scheduler {
  public struct Options: Sendable {
    /// Priorities, 0 the highest.
    public var levels: Int
    /// Predicted nanoseconds of scoring in a round.
    public var budgetNanoseconds: UInt64
    /// Calls that are served at once: what waits is over sooner by so much.
    public var servers: Int

    public init(levels: Int = 1, budgetNanoseconds: UInt64 = 200_000, servers: Int = 1) {
      self.levels = max(1, levels)
      self.budgetNanoseconds = budgetNanoseconds
      self.servers = max(1, servers)
    }
  }

  /// A call that asks to be served.
  public struct Arrival {
    public var model: Int32
    /// Whoever the call is from; the same number for all calls that share.
    public var client: UInt64
    public var level: Int
    public var deadline: MonotonicTime
    public var arrived: MonotonicTime
    /// Predicted nanoseconds, without what a batch takes whatever its size.
    public var cost: UInt64
    /// Whether a part of it can be served.
    public var isDivisible: Bool

    public init(
      model: Int32, client: UInt64, level: Int, deadline: MonotonicTime, arrived: MonotonicTime, cost: UInt64,
      isDivisible: Bool = false
    ) {
      self.model = model
      self.client = client
      self.level = level
      self.deadline = deadline
      self.arrived = arrived
      self.cost = max(1, cost)
      self.isDivisible = isDivisible
    }
  }

  public enum Decision: Equatable, Sendable {
    /// Taken out, to be served now as a whole.
    case serve(ticket: Int32)
    /// Still in: to be served for about so long, which `progressed` then says.
    case serveSome(ticket: Int32, nanoseconds: UInt64)
    /// Taken out: it cannot be in time any more.
    case expired(ticket: Int32)
  }

  /// In one of so many rounds a call of a lower priority is the first.
  static let starvationRounds: UInt64 = 16
  /// Nanoseconds of a client's turn, and of a model's of weight 1.
  static let quantum: Int64 = 50_000
  /// Clients without a waiting call whose debts are remembered.
  private static let idleFlows = 1024
  private static let none: Int32 = -1

  private struct Call {
    var flow: Int32
    var previous: Int32
    var next: Int32
    var deadline: UInt64
    var arrived: UInt64
    var sequence: UInt64
    var cost: UInt64
    /// What was to be served before it, as far as was known when it came.
    var ahead: UInt64
    var isDivisible: Bool
  }

  /// The waiting calls of one client to one model at one priority, by deadline.
  private struct Flow {
    var key: Key
    var first = none
    var last = none
    var count = 0
    var cost: UInt64 = 0
    /// How much longer its calls waited than they were predicted to.
    var slowdown = 1.0
    var idlePrevious = none
    var idleNext = none
  }

  private struct Key: Hashable {
    var entry: Int32
    var client: UInt64
  }

  private struct Model {
    var isLive = true
    /// Nanoseconds of a batch whatever its size.
    var fixed: UInt64 = 0
    /// The last round that serves it.
    var round: UInt64 = 0
  }

  public let options: Options
  private var calls: [Call] = []
  private var freeCall = none
  private var flows: [Flow] = []
  private var flowShares: [Share] = []
  private var freeFlows: [Int32] = []
  private var flowOf: [Key: Int32] = [:]
  private var oldestIdle = none
  private var newestIdle = none
  private var idleCount = 0
  private var models: [Model] = []
  /// An entry is a model at a priority: `model * levels + level`.
  private var entryShares: [Share] = []
  private var flowOrders: [FairOrder] = []
  private var entryQuanta: [Int64] = []
  private var levels: [FairOrder]
  private var levelFlows: [Int]
  private var levelQuanta: [Int64]
  private var waiting: [UInt64]
  private var sequence: UInt64 = 0
  private var pace = ServicePace()

  private var round: UInt64 = 0
  private var left: UInt64 = 0
  private var served: UInt64 = 0
  /// The level whose call comes first this round, against starvation.
  private var favoured = -1

  /// Calls that wait.
  public private(set) var count = 0

  public init(_ options: Options = Options()) {
    self.options = options
    levels = Array(repeating: FairOrder(), count: options.levels)
    levelFlows = Array(repeating: 0, count: options.levels)
    levelQuanta = Array(repeating: 0, count: options.levels)
    waiting = Array(repeating: 0, count: options.levels)
  }

  public var isEmpty: Bool { count == 0 }

  /// Predicted nanoseconds of what waits at this priority and above.
  public func backlog(upTo level: Int) -> UInt64 {
    var sum: UInt64 = 0
    for index in 0...level { sum &+= waiting[index] }
    return sum
  }

  public var backlog: UInt64 { backlog(upTo: options.levels - 1) }

  // MARK: Models

  /// A model that shares by `weight`; its number.
  public mutating func addModel(weight: Double) -> Int32 {
    let quantum = Int64(min(max(weight, 0.001), 1000) * Double(Self.quantum))
    if let index = models.firstIndex(where: { !$0.isLive }) {
      models[index] = Model()
      for level in 0..<options.levels { entryShares[index * options.levels + level] = Share(quantum: quantum) }
      return Int32(index)
    }
    models.append(Model())
    for _ in 0..<options.levels {
      entryShares.append(Share(quantum: quantum))
      flowOrders.append(FairOrder())
      entryQuanta.append(0)
    }
    return Int32(models.count - 1)
  }

  /// The model has no waiting calls and gets none any more.
  public mutating func removeModel(_ model: Int32) {
    let entries = (model * Int32(options.levels))..<((model + 1) * Int32(options.levels))
    for index in flows.indices where flows[index].count == 0 && entries.contains(flows[index].key.entry) {
      let flow = Int32(index)
      guard flowOf[flows[index].key] == flow else { continue }
      forget(flow)
    }
    models[Int(model)].isLive = false
  }

  public mutating func setFixedCost(ofModel model: Int32, _ nanoseconds: UInt64) {
    models[Int(model)].fixed = nanoseconds
  }

  /// Whether no call to the model waits.
  public func isIdle(_ model: Int32) -> Bool {
    for level in 0..<options.levels where entryShares[Int(model) * options.levels + level].slot >= 0 { return false }
    return true
  }

  // MARK: Admission

  /// Nanoseconds until a call would be served, on the clock, others and itself included.
  ///
  /// What its own client has waiting before it, at the client's share of the time: others that ask for more than their
  /// share do not keep it out. But no more than twice all that waits at its priority and above, for shares of those
  /// that have little to do are free soon. Made longer by how much longer things took than predicted, and by a reserve
  /// of a quarter.
  public func predictedTime(of call: Arrival, besides others: UInt64 = 0) -> UInt64 {
    let all = backlog(upTo: call.level) &+ others
    guard count > 0 else { return all / UInt64(options.servers) &+ call.cost }
    var ahead = all
    var scale = pace.dilation
    let entry = call.model * Int32(options.levels) + Int32(call.level)
    var own: UInt64 = 0
    var isWaiting = false
    if let flow = flowOf[Key(entry: entry, client: call.client)] {
      scale = max(scale, flows[Int(flow)].slowdown)
      isWaiting = flows[Int(flow)].count > 0
      own = flows[Int(flow)].cost
      var behind = flows[Int(flow)].last
      while behind != Self.none, calls[Int(behind)].deadline > call.deadline.nanoseconds {
        own &-= calls[Int(behind)].cost
        behind = calls[Int(behind)].previous
      }
    }
    let quantum = Double(Self.quantum)
    let clients = Double(entryQuanta[Int(entry)]) / quantum + (isWaiting ? 0 : 1)
    let weight = Double(entryShares[Int(entry)].quantum)
    let isActive = entryShares[Int(entry)].slot >= 0
    let models = (Double(levelQuanta[call.level]) + (isActive ? 0 : weight)) / weight
    let rivals = Double(max(0, levelFlows[call.level] - (isWaiting ? 1 : 0)))
    let share =
      Double(call.level > 0 ? backlog(upTo: call.level - 1) : 0) + Double(own &+ call.cost) * clients * models
      + quantum * rivals
    ahead = rivals == 0 ? ahead : UInt64(min(share, 2 * Double(all)))
    let time = Double(ahead) / Double(options.servers) * scale * 1.25 + 2 * pace.roundNanoseconds
    return UInt64(min(time, 1e18)) &+ call.cost
  }

  /// Whether a client has no more waiting than others at its priority have on average.
  public func isWithinShare(model: Int32, client: UInt64, level: Int) -> Bool {
    guard let flow = flowOf[Key(entry: model * Int32(options.levels) + Int32(level), client: client)] else {
      return true
    }
    let own = flows[Int(flow)].cost
    guard own > 0, levelFlows[level] > 1 else { return own == 0 }
    return Double(own) * Double(levelFlows[level]) <= Double(waiting[level])
  }

  /// What a caller should wait before it tries again.
  public func retryNanoseconds(level: Int, besides others: UInt64 = 0) -> UInt64 {
    UInt64(min(Double(backlog(upTo: level) &+ others) / Double(options.servers) * pace.dilation, 1e15))
  }

  // MARK: Calls

  /// Lets a call wait.
  public mutating func enter(_ call: Arrival) -> Int32 {
    let entry = call.model * Int32(options.levels) + Int32(call.level)
    let flow = flow(Key(entry: entry, client: call.client))
    sequence &+= 1
    let new = Call(
      flow: flow, previous: Self.none, next: Self.none, deadline: call.deadline.nanoseconds,
      arrived: call.arrived.nanoseconds, sequence: sequence, cost: call.cost,
      ahead: backlog(upTo: call.level) / UInt64(options.servers) &+ call.cost, isDivisible: call.isDivisible)
    let ticket: Int32
    if freeCall >= 0 {
      ticket = freeCall
      freeCall = calls[Int(ticket)].next
      calls[Int(ticket)] = new
    } else {
      ticket = Int32(calls.count)
      calls.append(new)
    }
    link(ticket, flow)
    count += 1
    waiting[call.level] &+= call.cost
    flows[Int(flow)].cost &+= call.cost
    flows[Int(flow)].count += 1
    if flows[Int(flow)].count == 1 {
      setKey(ofFlow: flow)
      flowOrders[Int(entry)].insert(flow, &flowShares)
      entryQuanta[Int(entry)] += flowShares[Int(flow)].quantum
      levelFlows[call.level] += 1
      refresh(entry)
    } else if flows[Int(flow)].first == ticket {
      setKey(ofFlow: flow)
      flowOrders[Int(entry)].moved(flow, &flowShares)
      refresh(entry)
    }
    return ticket
  }

  /// Takes a waiting call out, because its caller went away.
  public mutating func remove(_ ticket: Int32) { takeOut(ticket, charging: 0) }

  /// Most callers' deadlines rise with their calls, so the place is looked for from the end.
  private mutating func link(_ ticket: Int32, _ flow: Int32) {
    var before = flows[Int(flow)].last
    while before != Self.none, calls[Int(before)].deadline > calls[Int(ticket)].deadline {
      before = calls[Int(before)].previous
    }
    let after = before == Self.none ? flows[Int(flow)].first : calls[Int(before)].next
    calls[Int(ticket)].previous = before
    calls[Int(ticket)].next = after
    if before == Self.none { flows[Int(flow)].first = ticket } else { calls[Int(before)].next = ticket }
    if after == Self.none { flows[Int(flow)].last = ticket } else { calls[Int(after)].previous = ticket }
  }

  private mutating func takeOut(_ ticket: Int32, charging nanoseconds: UInt64) {
    let call = calls[Int(ticket)]
    let flow = call.flow
    let entry = flows[Int(flow)].key.entry
    let level = Int(entry) % options.levels
    let wasFirst = flows[Int(flow)].first == ticket
    if call.previous == Self.none {
      flows[Int(flow)].first = call.next
    } else {
      calls[Int(call.previous)].next = call.next
    }
    if call.next == Self.none {
      flows[Int(flow)].last = call.previous
    } else {
      calls[Int(call.next)].previous = call.previous
    }
    calls[Int(ticket)].next = freeCall
    freeCall = ticket
    count -= 1
    waiting[level] &-= call.cost
    flows[Int(flow)].cost &-= call.cost
    flows[Int(flow)].count -= 1
    charge(flow, entry, level, nanoseconds)
    if flows[Int(flow)].count == 0 {
      flowOrders[Int(entry)].remove(flow, &flowShares)
      entryQuanta[Int(entry)] -= flowShares[Int(flow)].quantum
      levelFlows[level] -= 1
      rest(flow)
    } else if wasFirst {
      setKey(ofFlow: flow)
      flowOrders[Int(entry)].moved(flow, &flowShares)
    }
    refresh(entry)
    if count == 0 {
      for index in levels.indices { levels[index].forgive() }
      for index in flowOrders.indices { flowOrders[index].forgive() }
    }
  }

  private mutating func charge(_ flow: Int32, _ entry: Int32, _ level: Int, _ nanoseconds: UInt64) {
    guard nanoseconds > 0 else { return }
    flowOrders[Int(entry)].charge(flow, nanoseconds: nanoseconds, &flowShares)
    levels[level].charge(entry, nanoseconds: nanoseconds, &entryShares)
  }

  private mutating func setKey(ofFlow flow: Int32) {
    let first = calls[Int(flows[Int(flow)].first)]
    flowShares[Int(flow)].deadline = first.deadline
    flowShares[Int(flow)].sequence = first.sequence
  }

  /// An entry stands for the call that it would have served next.
  private mutating func refresh(_ entry: Int32) {
    let level = Int(entry) % options.levels
    let isIn = entryShares[Int(entry)].slot >= 0
    guard let flow = flowOrders[Int(entry)].front(&flowShares) else {
      if isIn {
        levels[level].remove(entry, &entryShares)
        levelQuanta[level] -= entryShares[Int(entry)].quantum
      }
      return
    }
    entryShares[Int(entry)].deadline = flowShares[Int(flow)].deadline
    entryShares[Int(entry)].sequence = flowShares[Int(flow)].sequence
    if isIn {
      levels[level].moved(entry, &entryShares)
    } else {
      levels[level].insert(entry, &entryShares)
      levelQuanta[level] += entryShares[Int(entry)].quantum
    }
  }

  // MARK: Clients

  private mutating func flow(_ key: Key) -> Int32 {
    if let known = flowOf[key] {
      if flows[Int(known)].count == 0 { wake(known) }
      return known
    }
    if idleCount > Self.idleFlows { forget(oldestIdle) }
    let flow: Int32
    if let free = freeFlows.popLast() {
      flow = free
      flows[Int(flow)] = Flow(key: key)
      flowShares[Int(flow)] = Share(quantum: Self.quantum)
    } else {
      flow = Int32(flows.count)
      flows.append(Flow(key: key))
      flowShares.append(Share(quantum: Self.quantum))
    }
    flowOf[key] = flow
    return flow
  }

  /// Nothing of it waits; it is remembered for its debt until many others were idle after it.
  private mutating func rest(_ flow: Int32) {
    flows[Int(flow)].idlePrevious = newestIdle
    flows[Int(flow)].idleNext = Self.none
    if newestIdle == Self.none { oldestIdle = flow } else { flows[Int(newestIdle)].idleNext = flow }
    newestIdle = flow
    idleCount += 1
  }

  private mutating func wake(_ flow: Int32) {
    let (previous, next) = (flows[Int(flow)].idlePrevious, flows[Int(flow)].idleNext)
    if previous == Self.none { oldestIdle = next } else { flows[Int(previous)].idleNext = next }
    if next == Self.none { newestIdle = previous } else { flows[Int(next)].idlePrevious = previous }
    idleCount -= 1
  }

  private mutating func forget(_ flow: Int32) {
    wake(flow)
    flowOf[flows[Int(flow)].key] = nil
    freeFlows.append(flow)
  }

  // MARK: Rounds

  /// Begins a round with a fresh budget.
  public mutating func beginRound() { beginRound(budget: options.budgetNanoseconds) }

  /// The same with another budget, of a scorer for example.
  public mutating func beginRound(budget: UInt64) {
    round &+= 1
    left = budget
    served = 0
    favoured = -1
    if options.levels > 1, round % Self.starvationRounds == 0 {
      // The lower ones in turn.
      let turns = Int(truncatingIfNeeded: round / Self.starvationRounds)
      let lower = options.levels - 1
      for step in 0..<lower {
        let level = 1 + (turns + step) % lower
        if !levels[level].isEmpty {
          favoured = level
          break
        }
      }
    }
  }

  /// What to do next in this round; nil when its budget is used up or nothing waits.
  ///
  /// A round serves one call at least, however long it takes.
  public mutating func next(now: MonotonicTime) -> Decision? {
    guard let ticket = first() else { return nil }
    let call = calls[Int(ticket)]
    if call.deadline < UInt64.max, now.nanoseconds &+ (call.isDivisible ? 0 : call.cost) >= call.deadline {
      takeOut(ticket, charging: 0)
      return .expired(ticket: ticket)
    }
    let model = Int(flows[Int(call.flow)].key.entry) / options.levels
    let fixed = models[model].round == round ? 0 : models[model].fixed
    let whole = fixed &+ call.cost
    if whole > left {
      if call.isDivisible, left > options.budgetNanoseconds / 4 || served == 0 {
        // While others wait, a long call gets no more than a part of the round at a time.
        let most = count > 1 ? max(1, options.budgetNanoseconds / 4) : left
        return .serveSome(ticket: ticket, nanoseconds: min(max(left, 1), most))
      }
      guard served == 0 else { return nil }
    }
    models[model].round = round
    served &+= whole
    left = whole < left ? left - whole : 0
    favoured = -1
    learn(call, now)
    takeOut(ticket, charging: call.cost)
    return .serve(ticket: ticket)
  }

  private mutating func first() -> Int32? {
    if favoured >= 0, let ticket = first(favoured) { return ticket }
    for level in 0..<options.levels {
      if let ticket = first(level) { return ticket }
    }
    return nil
  }

  private mutating func first(_ level: Int) -> Int32? {
    guard let entry = levels[level].front(&entryShares), let flow = flowOrders[Int(entry)].front(&flowShares) else {
      return nil
    }
    return flows[Int(flow)].first
  }

  /// A part of a call has been served, which was predicted to take so long; so much is left.
  public mutating func progressed(_ ticket: Int32, nanoseconds: UInt64, remaining: UInt64) {
    let flow = calls[Int(ticket)].flow
    let entry = flows[Int(flow)].key.entry
    let level = Int(entry) % options.levels
    let before = calls[Int(ticket)].cost
    let after = max(1, remaining)
    calls[Int(ticket)].cost = after
    flows[Int(flow)].cost = flows[Int(flow)].cost &- before &+ after
    waiting[level] = waiting[level] &- before &+ after
    let model = Int(entry) / options.levels
    let fixed = models[model].round == round ? 0 : models[model].fixed
    models[model].round = round
    let took = max(1, nanoseconds &+ fixed)
    served &+= took
    left = took < left ? left - took : 0
    favoured = -1
    charge(flow, entry, level, took)
    refresh(entry)
  }

  /// The round has ended at that time; `pace` learns while something waits.
  public mutating func endRound(now: MonotonicTime) {
    if count > 0 { pace.roundEnded(served: served, now: now) } else { pace.rest() }
  }

  private mutating func learn(_ call: Call, _ now: MonotonicTime) {
    guard call.ahead > 20_000 else { return }
    let waited = Double(now.nanoseconds > call.arrived ? now.nanoseconds - call.arrived : 0) + Double(call.cost)
    let ratio = min(max(waited / Double(call.ahead), 1), 100)
    let known = flows[Int(call.flow)].slowdown
    flows[Int(call.flow)].slowdown = known + (ratio - known) / 16
  }
}
