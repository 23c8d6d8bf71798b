import MartletCore
import Testing

@testable import MartletBatching

private func at(_ nanoseconds: UInt64) -> MonotonicTime { MonotonicTime(nanoseconds: nanoseconds) }

/// A scheduler with what went in, to compare what comes out with.
private struct Bench {
  var scheduler: Scheduler
  var calls: [Int32: Scheduler.Arrival] = [:]
  var order: [Scheduler.Arrival] = []
  var expired: [Scheduler.Arrival] = []

  init(levels: Int = 1, budget: UInt64 = 200_000, models: [Double] = [1]) {
    scheduler = Scheduler(.init(levels: levels, budgetNanoseconds: budget))
    for (index, weight) in models.enumerated() {
      let number = scheduler.addModel(weight: weight)
      precondition(number == index)
    }
  }

  @discardableResult
  mutating func enter(
    client: UInt64 = 1, model: Int32 = 0, level: Int = 0, deadline: UInt64 = .max, cost: UInt64 = 1_000,
    divisible: Bool = false
  ) -> Int32 {
    let call = Scheduler.Arrival(
      model: model, client: client, level: level, deadline: at(deadline), arrived: at(0), cost: cost,
      isDivisible: divisible)
    let ticket = scheduler.enter(call)
    precondition(calls[ticket] == nil, "a ticket was given twice")
    calls[ticket] = call
    return ticket
  }

  /// Serves one round; returns the predicted time of it.
  @discardableResult
  mutating func round(now: UInt64 = 1) -> UInt64 {
    scheduler.beginRound()
    var served: UInt64 = 0
    while let decision = scheduler.next(now: at(now)) {
      switch decision {
      case .serve(let ticket):
        let call = calls.removeValue(forKey: ticket)!
        order.append(call)
        served += call.cost
      case .expired(let ticket): expired.append(calls.removeValue(forKey: ticket)!)
      case .serveSome(let ticket, let nanoseconds):
        calls[ticket]!.cost -= nanoseconds
        scheduler.progressed(ticket, nanoseconds: nanoseconds, remaining: calls[ticket]!.cost)
        served += nanoseconds
      }
    }
    scheduler.endRound(now: at(now))
    return served
  }
}

@Suite("Scheduler")
struct SchedulerTests {
  @Test("within a priority and its share the earliest deadline is first, whoever the call is from")
  func deadlines() {
    var generator = SplitMix(state: 1)
    var bench = Bench(budget: .max, models: [1, 1, 1])
    // Sixty calls of 1 µs: nobody's turn of 50 µs is used up.
    for _ in 0..<60 {
      bench.enter(
        client: UInt64.random(in: 0..<5, using: &generator), model: Int32.random(in: 0..<3, using: &generator),
        deadline: UInt64.random(in: 1_000_000...9_000_000, using: &generator), cost: 500)
    }
    bench.round()
    #expect(bench.order.count == 60)
    #expect(zip(bench.order, bench.order.dropFirst()).allSatisfy { $0.deadline <= $1.deadline })
  }

  @Test("calls without deadlines are served as they came, after those with one")
  func arrivals() {
    var bench = Bench(budget: .max)
    for number in 0..<20 as Range<UInt64> { bench.enter(client: number % 4, cost: 1_000 + number) }
    bench.enter(client: 3, deadline: 5_000_000, cost: 7)
    bench.round()
    #expect(bench.order.map(\.cost) == [7] + (0..<20).map { 1_000 + $0 })
  }

  @Test("a higher priority is first, and a lower one is not starved")
  func priorities() {
    var bench = Bench(levels: 3, budget: 10_000)
    for _ in 0..<100 { bench.enter(client: 1, level: 2, cost: 5_000) }
    for _ in 0..<100 { bench.enter(client: 2, level: 1, cost: 5_000) }
    var rounds = 0
    while bench.order.count(where: { $0.level == 2 }) == 0, rounds < 1000 {
      // More of the highest than a round serves.
      for _ in 0..<3 { bench.enter(client: 3, level: 0, cost: 5_000) }
      bench.round()
      rounds += 1
    }
    #expect(rounds <= 2 * Int(Scheduler.starvationRounds) + 1)
    let lower = bench.order.count { $0.level > 0 }
    #expect(lower <= rounds / Int(Scheduler.starvationRounds) + 1)
    #expect(bench.order.first?.level == 0)
  }

  @Test("clients with much to do get the same time, whatever the size of their calls and however near their deadlines")
  func clients() {
    var bench = Bench(budget: 100_000)
    // One sends ten times as many as the others, with nearer deadlines; one sends few large ones.
    for _ in 0..<20_000 { bench.enter(client: 0, deadline: 1 << 40, cost: 1_000) }
    for _ in 0..<2_000 { bench.enter(client: 1, deadline: 1 << 50, cost: 1_000) }
    for _ in 0..<50 { bench.enter(client: 2, deadline: 1 << 50, cost: 40_000) }
    var time: [UInt64: UInt64] = [:]
    for _ in 0..<50 {
      bench.round()
      time = [:]
      for call in bench.order { time[call.client, default: 0] += call.cost }
      let most = time.values.max()!
      let least = (0..<3 as Range<UInt64>).map { time[$0] ?? 0 }.min()!
      // A turn and the largest call.
      #expect(most - least <= UInt64(Scheduler.quantum) + 40_000 + 50_000)
    }
  }

  @Test("models share by their weights")
  func weights() {
    var bench = Bench(models: [1, 3])
    for _ in 0..<10_000 {
      bench.enter(client: 0, model: 0, cost: 1_000)
      bench.enter(client: 0, model: 1, cost: 1_000)
    }
    for _ in 0..<40 { bench.round() }
    let first = Double(bench.order.count { $0.model == 0 })
    let second = Double(bench.order.count { $0.model == 1 })
    #expect(abs(second / first - 3) < 0.15)
  }

  @Test("a client that comes back has to make up for a call that was longer than its turn")
  func debt() {
    var bench = Bench(budget: 50_000)
    for _ in 0..<400 { bench.enter(client: 1, cost: 10_000) }
    bench.enter(client: 2, deadline: 1 << 40, cost: 500_000)
    bench.round()
    #expect(bench.order.map(\.client) == [2])
    bench.enter(client: 2, deadline: 1 << 40, cost: 10_000)
    var before = 0
    while !bench.order.dropFirst().contains(where: { $0.client == 2 }) {
      bench.round()
      before += 1
      if before > 100 { break }
    }
    // Ten turns of 50 µs of the other's.
    #expect(before >= 8 && before <= 12)
  }

  @Test("what cannot be in time any more is not served")
  func expiry() {
    var bench = Bench()
    bench.enter(client: 1, deadline: 2_000, cost: 500)
    bench.enter(client: 1, deadline: 2_000, cost: 1_500)
    bench.enter(client: 1, deadline: 3_000, cost: 1_500)
    bench.round(now: 1_000)
    #expect(bench.order.map(\.cost) == [500, 1_500])
    #expect(bench.expired.map(\.cost) == [1_500])
    #expect(bench.scheduler.isEmpty && bench.scheduler.backlog == 0)
  }

  @Test("a long call is served in parts, and short ones come between")
  func parts() {
    var bench = Bench(budget: 100_000)
    bench.enter(client: 1, cost: 1_000_000, divisible: true)
    bench.enter(client: 2, cost: 10_000)
    bench.enter(client: 3, cost: 10_000)
    #expect(bench.round() <= 100_000)
    #expect(bench.order.map(\.client) == [2, 3])
    var rounds = 0
    while !bench.scheduler.isEmpty, rounds < 50 {
      bench.enter(client: 2, cost: 10_000)
      let before = bench.order.count
      #expect(bench.round() <= 125_000)
      #expect(bench.order.count > before)
      rounds += 1
    }
    #expect(rounds >= 8)
  }

  @Test("a call of a client within its share is admitted while another floods")
  func admission() {
    var bench = Bench()
    for _ in 0..<100 { bench.enter(client: 1, deadline: 5_000_000, cost: 50_000) }
    func predicted(_ client: UInt64) -> UInt64 {
      bench.scheduler.predictedTime(
        of: .init(model: 0, client: client, level: 0, deadline: at(5_000_000), arrived: at(0), cost: 50_000))
    }
    #expect(predicted(1) > 5_000_000)
    #expect(predicted(2) < 500_000)
    #expect(bench.scheduler.retryNanoseconds(level: 0) == 5_000_000)
  }

  @Test("what a higher priority has waiting is before a call, what a lower one has is not")
  func admissionByPriority() {
    var bench = Bench(levels: 2)
    for client in 0..<100 as Range<UInt64> { bench.enter(client: client, level: 1, cost: 50_000) }
    func predicted(_ level: Int) -> UInt64 {
      bench.scheduler.predictedTime(
        of: .init(model: 0, client: 1_000, level: level, deadline: .distantFuture, arrived: at(0), cost: 50_000))
    }
    #expect(predicted(0) < 200_000)
    #expect(predicted(1) > 4_000_000)
  }

  @Test("every call comes out once, and the sums are right, whatever comes", arguments: 0..<40)
  func random(_ seed: Int) {
    var generator = SplitMix(state: UInt64(seed))
    let levels = Int.random(in: 1...4, using: &generator)
    let models = (0..<Int.random(in: 1...4, using: &generator)).map { _ in Double.random(in: 0.1...5, using: &generator)
    }
    var bench = Bench(levels: levels, budget: UInt64.random(in: 1...300_000, using: &generator), models: models)
    var entered = 0
    var removed = 0
    var now: UInt64 = 1
    for _ in 0..<300 {
      for _ in 0..<Int.random(in: 0...20, using: &generator) {
        bench.enter(
          client: UInt64.random(in: 0..<30, using: &generator),
          model: Int32.random(in: 0..<Int32(models.count), using: &generator),
          level: Int.random(in: 0..<levels, using: &generator),
          deadline: Bool.random(using: &generator) ? .max : now + UInt64.random(in: 0...3_000_000, using: &generator),
          cost: UInt64.random(in: 1...60_000, using: &generator))
        entered += 1
      }
      if Bool.random(using: &generator), let ticket = bench.calls.keys.sorted().randomElement(using: &generator) {
        bench.scheduler.remove(ticket)
        bench.calls[ticket] = nil
        removed += 1
      }
      let known = bench.order.count
      let took = bench.round(now: now)
      // Nothing that is late is served, and no round ends early.
      for call in bench.order[known...] {
        #expect(call.deadline == .distantFuture || now + call.cost < call.deadline.nanoseconds)
      }
      #expect(bench.scheduler.isEmpty || took > 0)
      #expect(bench.scheduler.isEmpty || took + 60_000 >= bench.scheduler.options.budgetNanoseconds)
      now += took
      #expect(bench.scheduler.count == bench.calls.count)
      #expect(bench.scheduler.backlog == bench.calls.values.reduce(0) { $0 + $1.cost })
    }
    while !bench.scheduler.isEmpty { now += bench.round(now: now) }
    #expect(bench.order.count + bench.expired.count + removed == entered)
    #expect(bench.calls.isEmpty)
  }

  @Test("a model's number is given again, without the debts of the one that had it")
  func numbers() {
    var bench = Bench(models: [1, 1])
    bench.enter(client: 1, model: 1, cost: 10_000_000)
    bench.round()
    #expect(bench.scheduler.isIdle(1))
    bench.scheduler.removeModel(1)
    #expect(bench.scheduler.addModel(weight: 2) == 1)
    bench.enter(client: 1, model: 1)
    bench.round()
    #expect(bench.order.count == 2)
  }
}
