import MartletCore
import Testing

@testable import MartletBatching

@Suite("Adaptive limit")
final class AdaptiveLimitTests {
  /// A server that answers `rate` calls a second, and as many in flight as the limit lets in: a latency by Little's
  /// law, never below that of an idle server.
  private func run(
    _ limit: inout AdaptiveLimit, offered: Int, rate: Double, idle: Double = 1e-3, seconds: Double
  ) {
    var time = 0.0
    while time < seconds {
      let inFlight = Double(min(offered, limit.limit))
      let latency = max(idle, inFlight / rate)
      time += 0.01
      limit.answered(
        calls: UInt64(max(1, min(rate, inFlight / idle) * 0.01)),
        latencySum: UInt64(latency * 1e9 * max(1, min(rate, inFlight / idle) * 0.01)),
        now: MonotonicTime(nanoseconds: UInt64((clock + time) * 1e9)))
    }
    clock += time
  }
  /// Seconds.
  private var clock = 100.0

  @Test("while latency does not rise, nothing is limited")
  func light() {
    var limit = AdaptiveLimit(.init(floor: 64, ceiling: 65_536))
    run(&limit, offered: 50, rate: 100_000, seconds: 20)
    #expect(limit.limit == 65_536)
  }

  @Test("under load the limit falls to where the latency is about twice the unloaded one, and rises again")
  func overload() {
    var limit = AdaptiveLimit(.init(floor: 8, ceiling: 65_536))
    run(&limit, offered: 50, rate: 100_000, seconds: 2)
    run(&limit, offered: 1_000_000, rate: 100_000, seconds: 20)
    // 1 ms × 100,000 a second × 2, and the headroom.
    #expect((150...300).contains(limit.limit))
    run(&limit, offered: 50, rate: 100_000, seconds: 60)
    #expect(limit.limit > 10_000)
  }

  @Test("whatever the latency is, the limit stays between the floor and about twice that")
  func floor() {
    var limit = AdaptiveLimit(.init(floor: 1024, ceiling: 65_536))
    run(&limit, offered: 1, rate: 100_000, seconds: 2)
    run(&limit, offered: 1_000_000, rate: 1_000, seconds: 60)
    // After half a minute at the floor its latency is what is known as unloaded.
    #expect((1024...2_200).contains(limit.limit))
  }

  @Test("a server that has become slower is measured again")
  func slower() {
    var limit = AdaptiveLimit(.init(floor: 10, ceiling: 10_000))
    run(&limit, offered: 5, rate: 100_000, seconds: 2)
    run(&limit, offered: 2_000, rate: 100_000, idle: 10e-3, seconds: 70)
    #expect(limit.unloaded > 5e6)
  }
}
