import Testing

@testable import MartletLoad

@Suite struct LoadPlanTests {
  @Test("the shares of the threads add up to the plan")
  func shares() {
    let open = LoadPlan(
      pace: .open(rate: 1_000, arrivals: .poisson), connections: 11, maximumInFlight: 1_001, threads: 3)
    let shares = (0..<3).map { open.share(ofThread: $0) }
    #expect(shares.map(\.connections) == [3, 4, 4])
    #expect(shares.map(\.maximumInFlight).reduce(0, +) == 1_001)
    #expect(Set(shares.map(\.seed)).count == 3)
    #expect(shares[0].seed == open.seed)
    for share in shares { #expect(share.pace == .open(rate: 1_000.0 / 3, arrivals: .poisson)) }
    let closed = LoadPlan(pace: .closed(concurrency: 10), threads: 4)
    let calls = (0..<4).map { closed.share(ofThread: $0).pace }
    #expect(
      calls == [.closed(concurrency: 2), .closed(concurrency: 3), .closed(concurrency: 2), .closed(concurrency: 3)])
  }

  @Test("a plan that cannot be run says which value is wrong")
  func complaints() {
    #expect(LoadPlan(pace: .closed(concurrency: 1)).complaint == nil)
    #expect(LoadPlan(pace: .closed(concurrency: 0)).complaint?.hasPrefix("concurrency is 0") == true)
    #expect(LoadPlan(pace: .closed(concurrency: 1), threads: 2).complaint?.hasPrefix("concurrency is 1") == true)
    let open = LoadPlan.Pace.open(rate: 100, arrivals: .constant)
    #expect(LoadPlan(pace: open).complaint == nil)
    #expect(LoadPlan(pace: .open(rate: 0, arrivals: .poisson)).complaint?.hasPrefix("rate is 0") == true)
    #expect(LoadPlan(pace: .open(rate: .nan, arrivals: .poisson)).complaint?.hasPrefix("rate is nan") == true)
    #expect(LoadPlan(pace: .open(rate: .infinity, arrivals: .poisson)).complaint?.hasPrefix("rate is inf") == true)
    #expect(LoadPlan(pace: open, connections: 0).complaint?.hasPrefix("connections is 0") == true)
    #expect(LoadPlan(pace: open, connections: 2, threads: 3).complaint?.hasPrefix("connections is 2") == true)
    #expect(LoadPlan(pace: open, maximumInFlight: 0).complaint?.hasPrefix("in flight is 0") == true)
    #expect(LoadPlan(pace: open, duration: .zero).complaint?.hasPrefix("duration is") == true)
    #expect(LoadPlan(pace: open, warmup: .seconds(-1)).complaint?.hasPrefix("warm-up is") == true)
    #expect(LoadPlan(pace: open, timeout: .zero).complaint?.hasPrefix("timeout is") == true)
    #expect(LoadPlan(pace: open, threads: 0).complaint?.hasPrefix("threads is 0") == true)
  }
}
