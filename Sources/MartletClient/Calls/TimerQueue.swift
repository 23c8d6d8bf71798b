import MartletCore

/// Moments at which something is due for a call: a binary heap, earliest first.
///
/// Entries of calls that have ended stay until their time comes or until they are the larger part, when the owner is
/// asked which ones still count; so the heap stays within twice the live entries.
struct TimerQueue: Sendable {
  enum Purpose: Sendable, Equatable {
    case deadline
    case retry
  }

  struct Entry: Sendable, Equatable {
    var time: MonotonicTime
    var call: UInt64
    var purpose: Purpose
  }

  private var heap: [Entry] = []

  var count: Int { heap.count }
  var earliest: MonotonicTime? { heap.first?.time }

  mutating func add(_ entry: Entry) {
    heap.append(entry)
    siftUp(heap.count - 1)
  }

  /// Takes out the earliest entry when it is due.
  mutating func popDue(now: MonotonicTime) -> Entry? {
    guard let first = heap.first, first.time <= now else { return nil }
    let last = heap.removeLast()
    if !heap.isEmpty {
      heap[0] = last
      siftDown(0)
    }
    return first
  }

  /// Throws out what is no longer of use, when there are more than twice as many entries as `live` and some slack.
  mutating func compact(live: Int, keeping isLive: (Entry) -> Bool) {
    guard heap.count > 2 * live + 64 else { return }
    heap = heap.filter(isLive)
    for index in stride(from: heap.count / 2 - 1, through: 0, by: -1) { siftDown(index) }
  }

  private mutating func siftUp(_ start: Int) {
    var index = start
    while index > 0, heap[index].time < heap[(index - 1) / 2].time {
      heap.swapAt(index, (index - 1) / 2)
      index = (index - 1) / 2
    }
  }

  private mutating func siftDown(_ start: Int) {
    var index = start
    while true {
      var smallest = index
      for child in [2 * index + 1, 2 * index + 2] where child < heap.count {
        if heap[child].time < heap[smallest].time { smallest = child }
      }
      if smallest == index { return }
      heap.swapAt(index, smallest)
      index = smallest
    }
  }
}
