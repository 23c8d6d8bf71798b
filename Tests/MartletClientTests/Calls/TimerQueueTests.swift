import MartletCore
import Testing

@testable import MartletClient

@Suite struct TimerQueueTests {
  @Test("entries come out in the order of their times, and not before")
  func order() {
    var random = SplitMix(state: 1)
    var queue = TimerQueue()
    var times = (0..<500).map { _ in UInt64.random(in: 0..<100, using: &random) }
    for (index, time) in times.enumerated() {
      queue.add(.init(time: MonotonicTime(nanoseconds: time), call: UInt64(index), purpose: .deadline))
    }
    times.sort()
    #expect(queue.earliest?.nanoseconds == times[0])
    var out: [UInt64] = []
    for now in stride(from: UInt64(0), through: 100, by: 10) {
      while let entry = queue.popDue(now: MonotonicTime(nanoseconds: now)) {
        #expect(entry.time.nanoseconds <= now)
        out.append(entry.time.nanoseconds)
      }
      #expect(queue.earliest.map { $0.nanoseconds > now } ?? true)
    }
    #expect(out == times)
    #expect(queue.count == 0)
  }

  @Test("entries of calls that have ended do not gather")
  func compaction() {
    var queue = TimerQueue()
    for call in 0..<10_000 as Range<UInt64> {
      queue.add(.init(time: MonotonicTime(nanoseconds: 1_000_000 - call), call: call, purpose: .deadline))
      // Only the last ten calls live.
      queue.compact(live: 10) { $0.call + 10 > call }
      #expect(queue.count <= 2 * 10 + 65)
    }
    queue.compact(live: 0) { $0.call >= 9_990 }
    var left: [UInt64] = []
    while let entry = queue.popDue(now: .distantFuture) { left.append(entry.call) }
    #expect(left == left.sorted(by: >))
    #expect(Set(9_990..<10_000 as Range<UInt64>).isSubset(of: left))
  }
}
