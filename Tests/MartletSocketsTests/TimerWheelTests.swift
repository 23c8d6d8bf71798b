import MartletCore
import Testing

@testable import MartletSockets

@Suite("Timer wheel")
struct TimerWheelTests {
  private static let tick: UInt64 = 1 << TimerWheel.tickShift

  /// A small generator with a fixed seed: the same run every time.
  private struct Random {
    var state: UInt64
    mutating func next(below bound: UInt64) -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return (state >> 20) % bound
    }
  }

  @Test("timers fire as in a sorted list, each at the end of its tick, unless they were taken back", arguments: 0..<10)
  func reference(_ seed: UInt64) {
    var random = Random(state: seed &+ 99)
    var now = MonotonicTime(nanoseconds: 5_000_000_123)
    var wheel = TimerWheel(now: now)
    var expected: [(tick: UInt64, token: UInt64)] = []
    var timers: [TimerWheel.Timer] = []
    var most = 0
    var due: [TimerKey] = []
    for token in 0..<UInt64(3_000) {
      if random.next(below: 3) > 0 {
        let reach = [3_000_000, 100_000_000, 20_000_000_000][Int(random.next(below: 3))] as UInt64
        let time = now.nanoseconds + random.next(below: reach)
        timers.append(wheel.schedule(at: MonotonicTime(nanoseconds: time), .handler(token)))
        // One for this very tick waits for the next.
        expected.append((max((time + Self.tick - 1) / Self.tick, now.nanoseconds / Self.tick + 1), token))
        most = max(most, expected.count)
      } else {
        timers.append(.none)
      }
      // Also such as have fired, or were never there.
      let gone = random.next(below: token + 1)
      if random.next(below: 3) == 0 {
        wheel.cancel(timers[Int(gone)], .handler(gone))
        expected.removeAll { $0.token == gone }
      }
      // Now and then a jump of more than a turn.
      now = now.advanced(byNanoseconds: random.next(below: 100) == 0 ? 6_000_000_000 : random.next(below: 2_000_000))
      due.removeAll()
      wheel.advance(to: now, into: &due)
      let reached = now.nanoseconds / Self.tick
      let sorted = expected.filter { $0.tick <= reached }.map(\.token).sorted()
      expected.removeAll { $0.tick <= reached }
      #expect(due.map { if case .handler(let token) = $0 { token } else { .max } }.sorted() == sorted)
      #expect(wheel.count == expected.count)
      if let earliest = expected.map(\.tick).min() {
        let next = wheel.nextAdvance
        #expect(next != nil && next! > now && next!.nanoseconds <= earliest * Self.tick)
      } else {
        #expect(wheel.nextAdvance == nil)
      }
    }
    #expect(wheel.nodeCount == most)
  }

  @Test("timers of one bucket are taken back from its ends and its middle", arguments: 0..<5)
  func bucket(_ gone: Int) {
    let now = MonotonicTime(nanoseconds: 1_000_000_000)
    var wheel = TimerWheel(now: now)
    let time = now.advanced(byNanoseconds: 50 * Self.tick)
    let timers = (0..<5).map { wheel.schedule(at: time, .handler(UInt64($0))) }
    wheel.cancel(timers[gone], .handler(UInt64(gone)))
    wheel.cancel(timers[gone], .handler(UInt64(gone)))
    var due: [TimerKey] = []
    wheel.advance(to: now.advanced(by: .seconds(1)), into: &due)
    #expect(Set(due) == Set((0..<5).filter { $0 != gone }.map { .handler(UInt64($0)) }) && due.count == 4)
    #expect(wheel.count == 0 && wheel.nextAdvance == nil)
  }

  @Test("a node that is used again does not fall to the timer that had it before")
  func reuse() {
    let now = MonotonicTime(nanoseconds: 1_000_000_000)
    var wheel = TimerWheel(now: now)
    let first = wheel.schedule(at: now, .handler(1))
    var due: [TimerKey] = []
    wheel.advance(to: now.advanced(byNanoseconds: 2 * Self.tick), into: &due)
    wheel.schedule(at: now.advanced(by: .seconds(1)), .handler(2))
    wheel.cancel(first, .handler(1))
    #expect(wheel.count == 1 && wheel.nodeCount == 1)
    wheel.advance(to: now.advanced(by: .seconds(2)), into: &due)
    #expect(due == [.handler(1), .handler(2)])
  }

  @Test("within a turn timers fire in order of their ticks")
  func order() {
    let now = MonotonicTime(nanoseconds: 1_000_000_000)
    var wheel = TimerWheel(now: now)
    for token in [7, 3, 9, 1, 5] as [UInt64] {
      wheel.schedule(at: now.advanced(byNanoseconds: token * 10 * Self.tick), .handler(token))
    }
    var due: [TimerKey] = []
    wheel.advance(to: now.advanced(by: .seconds(1)), into: &due)
    #expect(due == [.handler(1), .handler(3), .handler(5), .handler(7), .handler(9)])
  }

  @Test("waiting until nextAdvance each time reaches a far timer in a few steps")
  func far() {
    var now = MonotonicTime(nanoseconds: 1_000_000_000)
    var wheel = TimerWheel(now: now)
    wheel.schedule(at: now.advanced(by: .seconds(600)), .listener(4))
    var due: [TimerKey] = []
    var steps = 0
    while due.isEmpty, let next = wheel.nextAdvance, steps < 1_000 {
      now = next
      wheel.advance(to: now, into: &due)
      steps += 1
    }
    #expect(due == [.listener(4)])
    #expect(steps <= 150)
    #expect(now.nanoseconds >= 601_000_000_000 && now.nanoseconds < 601_000_000_000 + 2 * Self.tick)
  }

  @Test("a timer of the past fires with the next tick, and time does not go back")
  func past() {
    let now = MonotonicTime(nanoseconds: 1_000_000_000)
    var wheel = TimerWheel(now: now)
    wheel.schedule(at: MonotonicTime(nanoseconds: 5), .handler(1))
    var due: [TimerKey] = []
    wheel.advance(to: MonotonicTime(nanoseconds: 0), into: &due)
    wheel.advance(to: now, into: &due)
    #expect(due.isEmpty)
    wheel.advance(to: now.advanced(byNanoseconds: Self.tick), into: &due)
    #expect(due == [.handler(1)])
  }
}
