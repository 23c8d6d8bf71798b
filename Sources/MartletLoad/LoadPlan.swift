import MartletCore

/// How a run sends: its pace, its connections, its bounds and its length.
public struct LoadPlan: Sendable, Equatable {
  /// Who decides when the next call leaves.
  public enum Pace: Sendable, Equatable {
    /// So many calls are always in flight; the next one leaves when one is answered, so a slow server slows the load.
    case closed(concurrency: Int)
    /// Calls leave at their time, whatever became of those before them. The rate is in calls a second.
    case open(rate: Double, arrivals: LoadSchedule.Arrivals)

    public var isOpen: Bool {
      if case .open = self { true } else { false }
    }
  }

  public var pace: Pace
  public var connections: Int
  /// Most calls in flight of an open loop; a call that finds no room leaves late and counts from its time.
  public var maximumInFlight: Int
  public var duration: Duration
  /// Time before the measurement in which calls are sent and not counted.
  public var warmup: Duration
  /// How long a call waits for its answer.
  public var timeout: Duration
  public var seed: UInt64
  /// Threads that send; connections, rate and calls in flight are shared out among them.
  public var threads: Int

  /// - Parameter maximumInFlight: without it, `defaultInFlightPerConnection` for each connection.
  public init(
    pace: Pace, connections: Int = 8, maximumInFlight: Int? = nil, duration: Duration = .seconds(10),
    warmup: Duration = .seconds(1), timeout: Duration = .seconds(5), seed: UInt64 = 1, threads: Int = 1
  ) {
    self.pace = pace
    self.connections = connections
    self.maximumInFlight = maximumInFlight ?? connections * Self.defaultInFlightPerConnection
    self.duration = duration
    self.warmup = warmup
    self.timeout = timeout
    self.seed = seed
    self.threads = threads
  }

  /// A little less than a server takes of one connection by default (1,024), so that a stall is seen as a wait and not
  /// as a refusal.
  public static let defaultInFlightPerConnection = 1_000

  /// What is wrong with the plan, for people; nil when it can be run.
  public var complaint: String? {
    switch pace {
    case .closed(let concurrency):
      guard (1...1_000_000).contains(concurrency) else {
        return "concurrency is \(concurrency), expected 1 to 1,000,000 calls in flight"
      }
      guard concurrency >= threads else { return "concurrency is \(concurrency), expected one a thread (\(threads))" }
    case .open(let rate, _):
      guard rate >= 0.01, rate <= 10_000_000 else {
        return "rate is \(rate), expected 0.01 to 10,000,000 calls a second"
      }
    }
    guard (1...10_000).contains(connections) else { return "connections is \(connections), expected 1 to 10,000" }
    guard (1...64).contains(threads) else { return "threads is \(threads), expected 1 to 64" }
    guard connections >= threads else { return "connections is \(connections), expected one a thread (\(threads))" }
    guard (threads...10_000_000).contains(maximumInFlight) else {
      return "in flight is \(maximumInFlight), expected 1 a thread to 10,000,000 calls"
    }
    guard duration > .zero, duration <= .seconds(86_400) else {
      return "duration is \(duration), expected above 0 and at most a day"
    }
    guard warmup >= .zero, warmup <= .seconds(3_600) else { return "warm-up is \(warmup), expected 0 to an hour" }
    guard timeout > .zero, timeout <= .seconds(3_600) else {
      return "timeout is \(timeout), expected above 0 to an hour"
    }
    return nil
  }

  /// The part of thread `index`: parts differ by at most one connection and one call in flight.
  func share(ofThread index: Int) -> LoadPlan {
    func part(_ whole: Int) -> Int { whole * (index + 1) / threads - whole * index / threads }
    var plan = self
    plan.connections = part(connections)
    plan.maximumInFlight = part(maximumInFlight)
    switch pace {
    case .closed(let concurrency): plan.pace = .closed(concurrency: part(concurrency))
    case .open(let rate, let arrivals): plan.pace = .open(rate: rate / Double(threads), arrivals: arrivals)
    }
    // Schedules of different threads must not be the same one.
    plan.seed = seed &+ UInt64(index) &* 0x9e37_79b9_7f4a_7c15
    return plan
  }
}
