import MartletCore
import Synchronization
import Testing

@testable import MartletServer

@Suite("Repeated work")
struct RepeatedWorkTests {
  /// Work that is under way until the test ends it.
  private final class Pending: Sendable {
    let ends = Mutex<[@Sendable () -> Void]>([])
    let begun = Atomic<Int>(0)

    func work(_ done: @escaping @Sendable () -> Void) {
      begun.add(1, ordering: .relaxed)
      ends.withLock { $0.append(done) }
    }

    func end() {
      let end = ends.withLock { $0.removeFirst() }
      end()
    }
  }

  @Test("whoever asks while it is under way has it run once more, all together")
  func joined() {
    let (repeated, pending) = (RepeatedWork(), Pending())
    for _ in 0..<1_000 { repeated.ask(pending.work) }
    #expect(pending.begun.load(ordering: .relaxed) == 1)
    pending.end()
    #expect(pending.begun.load(ordering: .relaxed) == 2)
    pending.end()
    #expect(pending.begun.load(ordering: .relaxed) == 2)
    repeated.ask(pending.work)
    #expect(pending.begun.load(ordering: .relaxed) == 3)
    pending.end()
    var collector = MetricCollector()
    repeated.collect(into: &collector)
    var counts: [Double] = []
    for case .number(let value) in collector.samples.map(\.value) { counts.append(value) }
    #expect(counts == [3, 998])
  }

  @Test("work that is done at once runs each time")
  func atOnce() {
    let repeated = RepeatedWork()
    let runs = Atomic<Int>(0)
    for _ in 0..<10 {
      repeated.ask { done in
        runs.add(1, ordering: .relaxed)
        done()
      }
    }
    #expect(runs.load(ordering: .relaxed) == 10)
  }
}
