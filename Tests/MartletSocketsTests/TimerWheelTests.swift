import MartletCore
import Testing

@testable import MartletSockets

@Suite("Timers and mailboxes")
struct TimerWheelTests {
  @Test("timers fire as in a sorted list, never early", arguments: 0..<20)
  func reference(_ seed: Int) {
    var state = UInt64(seed) &+ 99
    func random(_ bound: UInt64) -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return (state >> 20) % bound
    }
    var now = MonotonicTime(nanoseconds: 5_000_000_000)
    var wheel = TimerWheel<Int>(now: now)
    var expected: [(time: UInt64, id: Int)] = []
    for step in 0..<2_000 {
      if random(3) > 0 {
        let time = now.nanoseconds + random(random(10) == 0 ? 5_000_000_000 : 3_000_000)
        wheel.insert(step, at: MonotonicTime(nanoseconds: time))
        expected.append((time, step))
      }
      now = now.advanced(byNanoseconds: random(2_000_000))
      let fired = wheel.expire(now: now)
      let due = expected.filter { $0.time <= now.nanoseconds }.map(\.id)
      expected.removeAll { $0.time <= now.nanoseconds }
      #expect(fired.sorted() == due.sorted())
      #expect(wheel.count == expected.count)
      #expect(wheel.next?.nanoseconds == expected.map(\.time).min())
    }
  }

  @Test("a long pause fires everything that became due in it")
  func pause() {
    let now = MonotonicTime(nanoseconds: 1_000_000_000)
    var wheel = TimerWheel<Int>(now: now)
    for index in 0..<3_000 { wheel.insert(index, at: now.advanced(by: .milliseconds(index))) }
    #expect(wheel.expire(now: now.advanced(by: .seconds(60))).count == 3_000)
    #expect(wheel.next == nil)
  }

  @Test("a mailbox is bounded, and says when its owner must be woken")
  func mailbox() {
    let mailbox = Mailbox(capacity: 2)
    #expect(mailbox.post {} == .first)
    #expect(mailbox.post {} == .queued)
    #expect(mailbox.post {} == .refused)
    #expect(mailbox.take().count == 2)
    #expect(mailbox.post {} == .first)
    #expect(mailbox.close().count == 1)
    #expect(mailbox.post {} == .refused)
  }

  @Test("a quota of a cgroup is cores' worth of time")
  func quota() {
    #expect(UsableCores.parse(cpuMax: "150000 100000\n") == 1.5)
    #expect(UsableCores.parse(cpuMax: "max 100000\n") == nil)
    #expect(UsableCores.parse(cpuMax: "nonsense") == nil)
    #expect(UsableCores.count() >= 1)
  }

  @Test(
    "addresses are read as they are written", arguments: ["tcp://127.0.0.1:8001", "tcp://[::1]:9", "unix:/run/m.sock"])
  func addresses(_ text: String) throws {
    #expect(try SocketAddress.parse(text).description == text)
  }
}
