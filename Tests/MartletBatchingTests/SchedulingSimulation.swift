import MartletCore

@testable import MartletBatching

/// Reactors on a virtual clock that serve seeded arrivals with the scheduler of the server: what it decides is real,
/// what scoring, reading and answering take is drawn.
///
/// A reactor's round is the server's: what has arrived is read, each call admitted or refused, then a budget's worth
/// scored, then everything answered. Reading, refusing and answering take time of the same thread.
struct SchedulingSimulation {
  struct Client {
    /// Calls a second, Poisson.
    var rate: Double
    /// Mean nanoseconds of scoring a call, what the curve predicts; drawn evenly within a fifth of it.
    var cost: Double
    /// Nanoseconds; nil waits for ever.
    var deadline: UInt64?
    var level = 0
    var model: Int32 = 0
    var reactor = 0
  }

  struct Outcome {
    var offered = 0
    /// Answered within the deadline, by the caller's clock.
    var good = 0
    var late = 0
    var refused = 0
    var expired = 0
    /// Nanoseconds from sending to the answer, of the good ones and of the refusals.
    var latencies: [UInt64] = []
    var refusals: [UInt64] = []
    /// Scored after its deadline had passed.
    var scoredExpired = 0

    func latency(_ rank: Double) -> UInt64 { Self.percentile(latencies, rank) }
    func refusal(_ rank: Double) -> UInt64 { Self.percentile(refusals, rank) }

    private static func percentile(_ values: [UInt64], _ rank: Double) -> UInt64 {
      guard !values.isEmpty else { return 0 }
      let sorted = values.sorted()
      return sorted[min(sorted.count - 1, Int(rank * Double(sorted.count)))]
    }

    mutating func add(_ other: Outcome) {
      offered += other.offered
      good += other.good
      late += other.late
      refused += other.refused
      expired += other.expired
      latencies += other.latencies
      refusals += other.refusals
      scoredExpired += other.scoredExpired
    }
  }

  var clients: [Client]
  var options = Scheduler.Options()
  var weights: [Double] = [1]
  /// Nanoseconds.
  var reading: UInt64 = 1_500
  var refusing: UInt64 = 500
  var answering: UInt64 = 700
  var waking: UInt64 = 5_000
  /// Calls that wait at most, for those without a deadline.
  var queued = 4096
  var seed: UInt64 = 1

  /// What a reactor answers at most of one client's calls in a second.
  func capacity(cost: Double) -> Double { 1e9 / (cost + Double(reading + answering)) }

  /// Runs for so long on the virtual clock; an outcome for each client.
  func run(nanoseconds: UInt64) -> [Outcome] {
    var outcomes = Array(repeating: Outcome(), count: clients.count)
    for reactor in Set(clients.map(\.reactor)).sorted() {
      let own = clients.indices.filter { clients[$0].reactor == reactor }
      serve(own, until: nanoseconds, SplitMix(state: seed &+ UInt64(reactor) &* 7919), &outcomes)
    }
    return outcomes
  }

  private struct Sent {
    var client: Int
    var time: UInt64
    var deadline: UInt64
  }

  private func serve(_ own: [Int], until end: UInt64, _ source: SplitMix, _ outcomes: inout [Outcome]) {
    var generator = source
    var scheduler = Scheduler(options)
    for weight in weights { _ = scheduler.addModel(weight: weight) }
    var arrivals: [Sent] = []
    for client in own {
      var time = 0.0
      let rate = clients[client].rate
      while rate > 0 {
        time += -log1p(-Double.random(in: 0..<1, using: &generator)) / rate * 1e9
        if time >= Double(end) { break }
        arrivals.append(
          Sent(client: client, time: UInt64(time), deadline: clients[client].deadline.map { UInt64(time) + $0 } ?? .max)
        )
      }
    }
    arrivals.sort { $0.time < $1.time }
    var waiting: [Int32: Sent] = [:]
    var next = 0
    var clock: UInt64 = 0
    while next < arrivals.count || !scheduler.isEmpty {
      if scheduler.isEmpty, arrivals[next].time > clock { clock = arrivals[next].time + waking }
      let now = clock
      var answers: [(Sent, isRefusal: Bool)] = []
      while next < arrivals.count, arrivals[next].time <= now {
        let sent = arrivals[next]
        let client = clients[sent.client]
        next += 1
        clock += reading
        outcomes[sent.client].offered += 1
        // The server knows how long the caller waits from when it reads the call.
        let deadline = client.deadline.map { now + $0 } ?? .max
        let call = Scheduler.Arrival(
          model: client.model, client: UInt64(sent.client), level: client.level,
          deadline: MonotonicTime(nanoseconds: deadline), arrived: MonotonicTime(nanoseconds: now),
          cost: UInt64(client.cost))
        let isAdmitted =
          client.deadline == nil
          ? scheduler.count < queued - queued / 8
            || (scheduler.count < queued
              && scheduler.isWithinShare(model: call.model, client: call.client, level: call.level))
          : now + scheduler.predictedTime(of: call) < deadline
        if isAdmitted {
          waiting[scheduler.enter(call)] = Sent(client: sent.client, time: sent.time, deadline: deadline)
        } else {
          clock += refusing
          answers.append((sent, true))
        }
      }
      scheduler.beginRound()
      while let decision = scheduler.next(now: MonotonicTime(nanoseconds: clock)) {
        switch decision {
        case .serve(let ticket):
          let sent = waiting.removeValue(forKey: ticket)!
          if clock >= sent.deadline { outcomes[sent.client].scoredExpired += 1 }
          let cost = clients[sent.client].cost
          clock += UInt64(Double.random(in: 0.8...1.2, using: &generator) * cost) + answering
          answers.append((sent, false))
        case .expired(let ticket):
          let sent = waiting.removeValue(forKey: ticket)!
          clock += refusing
          outcomes[sent.client].expired += 1
        case .serveSome: preconditionFailure("no call here can be divided")
        }
      }
      scheduler.endRound(now: MonotonicTime(nanoseconds: clock))
      for (sent, isRefusal) in answers {
        let took = clock - sent.time
        if isRefusal {
          outcomes[sent.client].refused += 1
          outcomes[sent.client].refusals.append(took)
        } else if let limit = clients[sent.client].deadline, took > limit {
          outcomes[sent.client].late += 1
        } else {
          outcomes[sent.client].good += 1
          outcomes[sent.client].latencies.append(took)
        }
      }
    }
  }
}

/// The natural logarithm of 1 + x, without a library that tests would have to import.
private func log1p(_ x: Double) -> Double {
  // ln(y) by the exponent and the series of atanh, to full precision for what is drawn here.
  let y = 1 + x
  let exponent = Double(y.exponent)
  let z = (y.significand - 1) / (y.significand + 1)
  var term = z
  var sum = 0.0
  for step in 0..<30 {
    sum += term / Double(2 * step + 1)
    term *= z * z
  }
  return exponent * 0.693_147_180_559_945_3 + 2 * sum
}
