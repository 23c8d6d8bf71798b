import MartletCore

/// Timers of one thread: a hashed wheel, so that setting one costs the same however many there are.
///
/// A timer stands in the slot of its millisecond; those of later turns of the wheel are passed over. Never fires
/// early, and late by at most a tick and the wait of the caller.
struct TimerWheel<Element> {
  private struct Entry {
    var time: UInt64
    var element: Element
  }

  private static var tickNanoseconds: UInt64 { 1_000_000 }
  private static var slotCount: Int { 1024 }

  private var slots: [[Entry]] = Array(repeating: [], count: slotCount)
  /// The earliest time in each slot; `.max` for an empty one.
  private var earliest: [UInt64] = Array(repeating: .max, count: slotCount)
  private var lastTick: UInt64
  private(set) var count = 0
  /// When the first timer is due; nil without timers.
  private(set) var next: MonotonicTime?

  init(now: MonotonicTime) { lastTick = now.nanoseconds / Self.tickNanoseconds }

  /// Complexity: O(1).
  mutating func insert(_ element: Element, at time: MonotonicTime) {
    // A time that has passed must not wait for a whole turn.
    let nanoseconds = max(time.nanoseconds, lastTick * Self.tickNanoseconds)
    let slot = Int(nanoseconds / Self.tickNanoseconds % UInt64(Self.slotCount))
    slots[slot].append(Entry(time: nanoseconds, element: element))
    earliest[slot] = min(earliest[slot], nanoseconds)
    count += 1
    if next.map({ nanoseconds < $0.nanoseconds }) ?? true { next = MonotonicTime(nanoseconds: nanoseconds) }
  }

  /// Takes out every timer that is due, in no order within a tick.
  mutating func expire(now: MonotonicTime) -> [Element] {
    let tick = now.nanoseconds / Self.tickNanoseconds
    guard let due = next, due <= now else {
      if count == 0 { lastTick = max(lastTick, tick) }
      return []
    }
    var fired: [Element] = []
    let turns = min(tick - min(lastTick, tick), UInt64(Self.slotCount - 1))
    for step in 0...turns {
      let slot = Int((tick - step) % UInt64(Self.slotCount))
      guard earliest[slot] <= now.nanoseconds else { continue }
      var kept: UInt64 = .max
      slots[slot].removeAll { entry in
        if entry.time <= now.nanoseconds {
          fired.append(entry.element)
          return true
        }
        kept = min(kept, entry.time)
        return false
      }
      earliest[slot] = kept
    }
    lastTick = tick
    count -= fired.count
    let first = earliest.min() ?? .max
    next = first == .max ? nil : MonotonicTime(nanoseconds: first)
    return fired
  }
}
