/// One that waits for its share of the time: the calls of a client to a model, or all calls to a model.
struct Share {
  /// Nanoseconds that it gets of a turn of all; what shares are in proportion to.
  var quantum: Int64
  /// What is left of its turn; in debt when its last call took longer than that.
  var credit: Int64 = 0
  /// The turn that the credit belongs to.
  var turn: UInt64 = 0
  /// Where it stands in its order; -1 when it has nothing that waits.
  var slot: Int32 = -1
  var isParked = false
  /// Of the call that it would have served next.
  var deadline: UInt64 = .max
  var sequence: UInt64 = 0

  init(quantum: Int64) { self.quantum = max(1, quantum) }

  fileprivate func precedes(_ other: Share) -> Bool {
    deadline != other.deadline ? deadline < other.deadline : sequence < other.sequence
  }
}

/// Who is served next of those that share: the earliest deadline among those whose turn is not used up.
///
/// Deficit round robin (Shreedhar and Varghese, 1995) bounds what each gets, whatever it asks for; within a turn the
/// order is by deadline, then by arrival. A share that has used its turn up is parked until nobody is left who has
/// not: so one with much to do and near deadlines cannot keep others from their part. Every operation but the start of
/// a turn, which each parked share pays for once, costs the logarithm of the shares that wait.
struct FairOrder {
  /// A binary heap, the next one first.
  private var ready: [Int32] = []
  private var parked: [Int32] = []
  private var turn: UInt64 = 1

  var isEmpty: Bool { ready.isEmpty && parked.isEmpty }
  var count: Int { ready.count + parked.count }

  /// A share that had nothing to do has got something.
  mutating func insert(_ member: Int32, _ shares: inout [Share]) {
    settle(&shares[Int(member)])
    if shares[Int(member)].credit > 0 { push(member, &shares) } else { park(member, &shares) }
  }

  /// A share has nothing to do any more. Its debt stays.
  mutating func remove(_ member: Int32, _ shares: inout [Share]) {
    let slot = Int(shares[Int(member)].slot)
    if shares[Int(member)].isParked {
      let last = parked.removeLast()
      if last != member {
        parked[slot] = last
        shares[Int(last)].slot = Int32(slot)
      }
    } else {
      takeFromHeap(slot, &shares)
    }
    shares[Int(member)].slot = -1
    shares[Int(member)].isParked = false
  }

  /// The deadline of a share's next call has changed.
  mutating func moved(_ member: Int32, _ shares: inout [Share]) {
    guard !shares[Int(member)].isParked else { return }
    let slot = Int(shares[Int(member)].slot)
    siftUp(slot, &shares)
    siftDown(Int(shares[Int(member)].slot), &shares)
  }

  /// Who is next; begins a turn when all have used theirs up.
  mutating func front(_ shares: inout [Share]) -> Int32? {
    if ready.isEmpty {
      guard !parked.isEmpty else { return nil }
      beginTurn(&shares)
    }
    return ready[0]
  }

  /// A share has got so much time.
  mutating func charge(_ member: Int32, nanoseconds: UInt64, _ shares: inout [Share]) {
    shares[Int(member)].credit -= Int64(clamping: min(nanoseconds, 1 << 60))
    guard shares[Int(member)].credit <= 0, !shares[Int(member)].isParked, shares[Int(member)].slot >= 0 else { return }
    takeFromHeap(Int(shares[Int(member)].slot), &shares)
    park(member, &shares)
  }

  /// Nobody waits: debts are forgiven, for nobody was kept waiting by them.
  mutating func forgive() { turn &+= 1 << 32 }

  private mutating func beginTurn(_ shares: inout [Share]) {
    var turns = Int64.max
    for member in parked {
      let share = shares[Int(member)]
      turns = min(turns, -share.credit / share.quantum + 1)
    }
    turn &+= UInt64(turns)
    var index = 0
    while index < parked.count {
      let member = parked[index]
      settle(&shares[Int(member)])
      guard shares[Int(member)].credit > 0 else {
        index += 1
        continue
      }
      let last = parked.removeLast()
      if last != member {
        parked[index] = last
        shares[Int(last)].slot = Int32(index)
      }
      shares[Int(member)].isParked = false
      push(member, &shares)
    }
  }

  /// Turns that a share may save up while it asks for less: a burst of one that stays under its share is served as if
  /// it were alone.
  static let savedTurns: Int64 = 20

  /// Adds what the turns since its last one bring.
  private func settle(_ share: inout Share) {
    let passed = turn &- share.turn
    share.turn = turn
    guard passed > 0 else { return }
    // New, or nobody waited in the meantime.
    if passed >= 1 << 32 || share.turn == passed {
      share.credit = max(share.credit, share.quantum)
      return
    }
    let most = Self.savedTurns * share.quantum
    let missing = UInt64((most - share.credit + share.quantum - 1) / share.quantum)
    share.credit = passed >= missing ? most : share.credit + Int64(passed) * share.quantum
  }

  private mutating func park(_ member: Int32, _ shares: inout [Share]) {
    shares[Int(member)].slot = Int32(parked.count)
    shares[Int(member)].isParked = true
    parked.append(member)
  }

  // MARK: Heap

  private mutating func push(_ member: Int32, _ shares: inout [Share]) {
    shares[Int(member)].slot = Int32(ready.count)
    ready.append(member)
    siftUp(ready.count - 1, &shares)
  }

  private mutating func takeFromHeap(_ slot: Int, _ shares: inout [Share]) {
    let last = ready.removeLast()
    guard slot < ready.count else { return }
    ready[slot] = last
    shares[Int(last)].slot = Int32(slot)
    siftUp(slot, &shares)
    siftDown(Int(shares[Int(last)].slot), &shares)
  }

  private mutating func siftUp(_ start: Int, _ shares: inout [Share]) {
    var slot = start
    let member = ready[slot]
    while slot > 0 {
      let parent = (slot - 1) / 2
      guard shares[Int(member)].precedes(shares[Int(ready[parent])]) else { break }
      ready[slot] = ready[parent]
      shares[Int(ready[slot])].slot = Int32(slot)
      slot = parent
    }
    ready[slot] = member
    shares[Int(member)].slot = Int32(slot)
  }

  private mutating func siftDown(_ start: Int, _ shares: inout [Share]) {
    var slot = start
    let member = ready[slot]
    while true {
      var child = 2 * slot + 1
      guard child < ready.count else { break }
      if child + 1 < ready.count, shares[Int(ready[child + 1])].precedes(shares[Int(ready[child])]) { child += 1 }
      guard shares[Int(ready[child])].precedes(shares[Int(member)]) else { break }
      ready[slot] = ready[child]
      shares[Int(ready[slot])].slot = Int32(slot)
      slot = child
    }
    ready[slot] = member
    shares[Int(member)].slot = Int32(slot)
  }
}
