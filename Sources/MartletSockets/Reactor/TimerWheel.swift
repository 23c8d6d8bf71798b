import MartletCore

/// What a timer stands for.
enum TimerKey: Hashable {
  case connection(ConnectionHandle)
  /// Accepting may begin again, by the listener's number in its reactor.
  case listener(Int)
  /// Free buffers that nobody needs go back to the allocator.
  case buffers
  /// What the handler scheduled.
  case handler(UInt64)
}

/// Timers of one reactor: a hashed wheel, constant time to add, to take back and to fire.
///
/// A tick is 2²⁰ ns, about 1 ms. A timer lies in the bucket of its tick modulo the wheel's size; one that is further away
/// than a turn is passed over until its turn. No timer fires early; it fires at the first `advance` whose time has
/// reached the tick's end. It holds as many nodes as there were timers at once.
/// Source: Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", scheme 6.
struct TimerWheel {
  private struct Node {
    var tick: UInt64
    /// nil when the node is unused.
    var key: TimerKey?
    var previous: Int32
    var next: Int32
  }

  /// Names a timer that was added; of a timer that fired it may name another one by now.
  struct Timer {
    static let none = Timer(index: TimerWheel.none)
    fileprivate let index: Int32
  }

  static let tickShift: UInt64 = 20
  private static let size: UInt64 = 4096
  private static let none: Int32 = -1

  /// First node of each bucket.
  private var heads = [Int32](repeating: none, count: Int(size))
  /// One bit a bucket: whether it holds a node.
  private var occupied = [UInt64](repeating: 0, count: Int(size) / 64)
  private var nodes: [Node] = []
  /// First unused node.
  private var free = none
  private var current: UInt64
  private(set) var count = 0
  /// Nodes there is memory for, used or not.
  var nodeCount: Int { nodes.count }

  init(now: MonotonicTime) { current = now.nanoseconds >> Self.tickShift }

  /// Adds a timer; one for a past moment fires with the next tick.
  @discardableResult
  mutating func schedule(at time: MonotonicTime, _ key: TimerKey) -> Timer {
    let whole = time.nanoseconds >> Self.tickShift
    let rounded = whole << Self.tickShift == time.nanoseconds ? whole : whole + 1
    let tick = max(rounded, current + 1)
    let bucket = Int(tick & (Self.size - 1))
    let next = heads[bucket]
    let node = Node(tick: tick, key: key, previous: Self.none, next: next)
    let index: Int32
    if free != Self.none {
      index = free
      free = nodes[Int(index)].next
      nodes[Int(index)] = node
    } else {
      index = Int32(nodes.count)
      nodes.append(node)
    }
    if next != Self.none { nodes[Int(next)].previous = index }
    heads[bucket] = index
    occupied[bucket / 64] |= 1 << UInt64(bucket % 64)
    count += 1
    return Timer(index: index)
  }

  /// Takes a timer back; nothing happens when it has fired. Only where no two timers have the same key.
  mutating func cancel(_ timer: Timer, _ key: TimerKey) {
    let index = Int(timer.index)
    guard nodes.indices.contains(index), nodes[index].key == key else { return }
    remove(timer.index)
  }

  /// Moves time on and appends the keys that are due; within less than a turn (4 s) in order of their ticks.
  mutating func advance(to now: MonotonicTime, into due: inout [TimerKey]) {
    let target = now.nanoseconds >> Self.tickShift
    guard target > current else { return }
    let first = current + 1
    current = target
    guard count > 0 else { return }
    for tick in first...(min(target, first + Self.size - 1)) {
      let bucket = Int(tick & (Self.size - 1))
      if occupied[bucket / 64] >> UInt64(bucket % 64) & 1 == 1 { empty(bucket, upTo: target, into: &due) }
    }
  }

  /// When `advance` is next worth calling; nil without timers. Never later than the earliest timer's tick, earlier by
  /// whole turns of the wheel when the timer is that far away.
  var nextAdvance: MonotonicTime? {
    guard count > 0 else { return nil }
    let start = Int((current + 1) & (Self.size - 1))
    let words = occupied.count
    // The word where the search starts comes twice: its high bits first, its low bits last.
    for step in 0...words {
      let index = (start / 64 + step) % words
      var word = occupied[index]
      if step == 0 { word &= ~0 << UInt64(start % 64) }
      if step == words { word &= ~(~0 << UInt64(start % 64)) }
      if word != 0 {
        let bucket = UInt64(index * 64 + word.trailingZeroBitCount)
        let distance = (bucket &- UInt64(start)) & (Self.size - 1)
        return MonotonicTime(nanoseconds: (current + 1 + distance) << Self.tickShift)
      }
    }
    return nil
  }

  private mutating func empty(_ bucket: Int, upTo target: UInt64, into due: inout [TimerKey]) {
    var index = heads[bucket]
    while index != Self.none {
      let node = nodes[Int(index)]
      if node.tick <= target, let key = node.key {
        due.append(key)
        remove(index)
      }
      index = node.next
    }
  }

  private mutating func remove(_ index: Int32) {
    let node = nodes[Int(index)]
    if node.next != Self.none { nodes[Int(node.next)].previous = node.previous }
    if node.previous != Self.none {
      nodes[Int(node.previous)].next = node.next
    } else {
      let bucket = Int(node.tick & (Self.size - 1))
      heads[bucket] = node.next
      if node.next == Self.none { occupied[bucket / 64] &= ~(1 << UInt64(bucket % 64)) }
    }
    nodes[Int(index)].key = nil
    nodes[Int(index)].next = free
    free = index
    count -= 1
  }
}
