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

/// Timers of one reactor: a hashed wheel, constant time to add and to fire.
///
/// A tick is 2²⁰ ns, about 1 ms. A timer lies in the bucket of its tick modulo the wheel's size; one that is further away
/// than a turn is passed over until its turn. No timer fires early; it fires at the first `advance` whose time has
/// reached the tick's end. There is no cancelling: the owner checks whether a fired timer still means something.
/// Source: Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", scheme 6.
struct TimerWheel {
  private struct Node {
    var tick: UInt64
    var key: TimerKey
    var next: Int32
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

  init(now: MonotonicTime) { current = now.nanoseconds >> Self.tickShift }

  /// Adds a timer; one for a past moment fires with the next tick.
  mutating func schedule(at time: MonotonicTime, _ key: TimerKey) {
    let whole = time.nanoseconds >> Self.tickShift
    let rounded = whole << Self.tickShift == time.nanoseconds ? whole : whole + 1
    let tick = max(rounded, current + 1)
    let bucket = Int(tick & (Self.size - 1))
    let node = Node(tick: tick, key: key, next: heads[bucket])
    let index: Int32
    if free != Self.none {
      index = free
      free = nodes[Int(index)].next
      nodes[Int(index)] = node
    } else {
      index = Int32(nodes.count)
      nodes.append(node)
    }
    heads[bucket] = index
    occupied[bucket / 64] |= 1 << UInt64(bucket % 64)
    count += 1
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
    var kept = Self.none
    var index = heads[bucket]
    while index != Self.none {
      let node = nodes[Int(index)]
      if node.tick <= target {
        due.append(node.key)
        nodes[Int(index)].next = free
        free = index
        count -= 1
      } else {
        nodes[Int(index)].next = kept
        kept = index
      }
      index = node.next
    }
    heads[bucket] = kept
    if kept == Self.none { occupied[bucket / 64] &= ~(1 << UInt64(bucket % 64)) }
  }
}
