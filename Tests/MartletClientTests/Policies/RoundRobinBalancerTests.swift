import MartletCore
import MartletSockets
import Testing

@testable import MartletClient

@Suite struct RoundRobinBalancerTests {
  private func address(_ port: UInt16) -> SocketAddress { .ipv4(address: 0x7f00_0001, port: port) }

  private func balancer(_ count: UInt16) -> RoundRobinBalancer {
    var policy = EjectionPolicy()
    policy.failures = 3
    policy.initialDuration = .milliseconds(100)
    policy.maximumDuration = .milliseconds(350)
    var balancer = RoundRobinBalancer(policy: policy)
    _ = balancer.replace(with: (1...count).map(address))
    return balancer
  }

  private func at(_ milliseconds: UInt64) -> MonotonicTime {
    MonotonicTime(nanoseconds: (10_000 + milliseconds) * 1_000_000)
  }

  private func candidates(_ balancer: inout RoundRobinBalancer, _ time: UInt64, avoiding: Int? = nil) -> [Int] {
    balancer.candidates(now: at(time), avoiding: avoiding)
  }

  @Test("addresses take turns, and the one that has just failed comes last")
  func turns() {
    var balancer = balancer(3)
    let firsts = (0..<6).compactMap { _ in balancer.candidates(now: at(0)).first }
    #expect(firsts == [1, 2, 0, 1, 2, 0])
    for _ in 0..<3 { #expect(balancer.candidates(now: at(0), avoiding: 1).last == 1) }
  }

  @Test("an address whose connection fails is left out, twice as long each time up to a bound")
  func ejection() {
    var balancer = balancer(2)
    var start: UInt64 = 0
    for length in [100, 200, 350, 350] as [UInt64] {
      balancer.failed(0, atOnce: true, now: at(start))
      #expect(candidates(&balancer, start + length - 1) == [1])
      #expect(candidates(&balancer, start + length).sorted() == [0, 1])
      start += length
    }
  }

  @Test("refusals eject after several in a row, and a success between them forgives")
  func refusals() {
    var balancer = balancer(2)
    balancer.failed(0, atOnce: false, now: at(0))
    balancer.failed(0, atOnce: false, now: at(0))
    balancer.succeeded(0)
    balancer.failed(0, atOnce: false, now: at(0))
    balancer.failed(0, atOnce: false, now: at(0))
    #expect(candidates(&balancer, 0).count == 2)
    balancer.failed(0, atOnce: false, now: at(0))
    #expect(candidates(&balancer, 0) == [1])
    // Answers to calls that were under way do not lengthen it.
    balancer.failed(0, atOnce: false, now: at(50))
    #expect(candidates(&balancer, 100).count == 2)
    // Back on probation: one failure is enough.
    balancer.failed(0, atOnce: false, now: at(100))
    #expect(candidates(&balancer, 299) == [1])
    balancer.succeeded(0)
    #expect(candidates(&balancer, 299).count == 2)
  }

  @Test("when all are ejected the one that comes back first is tried all the same")
  func allEjected() {
    var balancer = balancer(3)
    balancer.failed(2, atOnce: true, now: at(0))
    balancer.failed(0, atOnce: true, now: at(10))
    balancer.failed(1, atOnce: true, now: at(20))
    #expect(candidates(&balancer, 30) == [2])
  }

  @Test("a new lookup keeps the record of addresses that stay")
  func replacement() {
    var balancer = balancer(2)
    balancer.failed(0, atOnce: true, now: at(0))
    let gone = balancer.replace(with: [address(1), address(3), address(3)])
    #expect(gone == [1])
    #expect(balancer.endpoints.map(\.id) == [0, 2])
    #expect(candidates(&balancer, 50) == [2])
  }

  @Test("without addresses there is no candidate")
  func empty() {
    var balancer = RoundRobinBalancer(policy: EjectionPolicy())
    #expect(candidates(&balancer, 0) == [])
  }
}
