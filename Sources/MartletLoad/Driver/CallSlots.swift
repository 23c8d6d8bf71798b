import MartletCore

/// The calls in flight of one driver, by a number that is used again when its call has ended.
struct CallSlots {
  struct Call {
    var scheduled: MonotonicTime
    var sent: MonotonicTime
    var stream: UInt32
    var lane: Int32
    var isInFlight: Bool
  }

  private var calls: ContiguousArray<Call>
  private var free: ContiguousArray<UInt32>

  init(capacity: Int) {
    let none = MonotonicTime(nanoseconds: 0)
    calls = .init(
      repeating: Call(scheduled: none, sent: none, stream: 0, lane: 0, isInFlight: false), count: capacity)
    free = .init((0..<UInt32(capacity)).reversed())
  }

  var inFlight: Int { calls.count - free.count }
  var isFull: Bool { free.isEmpty }

  /// The number that the next `open` takes; there is one while not full.
  var next: UInt64 { UInt64(free[free.count - 1]) }

  mutating func open(_ call: Call) {
    calls[Int(free.removeLast())] = call
  }

  /// Ends a call and frees its number; nil when it is not in flight.
  mutating func close(_ number: UInt64) -> Call? {
    let index = Int(number)
    guard index < calls.count, calls[index].isInFlight else { return nil }
    calls[index].isInFlight = false
    free.append(UInt32(index))
    return calls[index]
  }

  /// The numbers of the calls that left before `time`.
  func sent(before time: MonotonicTime) -> [UInt64] {
    calls.indices.filter { calls[$0].isInFlight && calls[$0].sent < time }.map(UInt64.init)
  }

  func call(_ number: UInt64) -> Call { calls[Int(number)] }
}
