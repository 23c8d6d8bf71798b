import Foundation
import MartletCore
import Testing

@testable import MartletBatching

@Suite("Scheduling, simulated")
struct SchedulingSimulationTests {
  /// Calls of 64 rows that take 100 µs, due in 5 ms, on eight connections a core of different rates.
  private static func overload(cores: Int, load: Double, seed: UInt64 = 1) -> SchedulingSimulation {
    var simulation = SchedulingSimulation(clients: [])
    simulation.seed = seed
    let cost = 100_000.0
    let perCore = 8
    var generator = SplitMix(state: seed)
    var weights = (0..<(cores * perCore)).map { _ in Double.random(in: 0.5...1.5, using: &generator) }
    let sum = weights.reduce(0, +)
    weights = weights.map { $0 / sum }
    let rate = simulation.capacity(cost: cost) * Double(cores) * load
    for (index, weight) in weights.enumerated() {
      // As the listener does it: to the reactor with the fewest connections.
      simulation.clients.append(
        .init(rate: rate * weight, cost: cost, deadline: 5_000_000, reactor: index % cores))
    }
    return simulation
  }

  private static func total(_ outcomes: [SchedulingSimulation.Outcome]) -> SchedulingSimulation.Outcome {
    var sum = SchedulingSimulation.Outcome()
    for outcome in outcomes { sum.add(outcome) }
    return sum
  }

  @Test("at three times the capacity nearly all of it is good answers, the rest is refused at once", arguments: 1...3)
  func goodput(seed: UInt64) {
    let simulation = Self.overload(cores: 1, load: 3, seed: seed)
    let seconds = 1.0
    let outcome = Self.total(simulation.run(nanoseconds: UInt64(seconds * 1e9)))
    let capacity = simulation.capacity(cost: 100_000) * seconds
    #expect(Double(outcome.good) > 0.9 * capacity)
    #expect(outcome.late < outcome.good / 100)
    #expect(outcome.expired < outcome.offered / 100)
    #expect(outcome.refusal(0.99) < 1_000_000)
    #expect(outcome.scoredExpired == 0)
  }

  @Test("under half of the capacity nothing is refused")
  func light() {
    let outcome = Self.total(Self.overload(cores: 2, load: 0.5).run(nanoseconds: 500_000_000))
    #expect(outcome.good == outcome.offered)
  }

  /// The p99 of a client at 30% of the capacity beside one that asks for `load` of it.
  private func neighbour(of load: Double, deadline: UInt64?) -> (p99: UInt64, goodShare: Double) {
    var simulation = SchedulingSimulation(clients: [])
    let capacity = simulation.capacity(cost: 100_000)
    simulation.clients = [
      .init(rate: 0.3 * capacity, cost: 100_000, deadline: deadline),
      .init(rate: load * capacity, cost: 100_000, deadline: deadline),
    ]
    let outcome = simulation.run(nanoseconds: 2_000_000_000)[0]
    return (outcome.latency(0.99), Double(outcome.good) / Double(outcome.offered))
  }

  @Test(
    "a client that floods at ten times its share costs another at most half of its p99 and none of its calls",
    arguments: [nil, 20_000_000] as [UInt64?])
  func flood(deadline: UInt64?) {
    let usual = neighbour(of: 0.5, deadline: deadline)
    let flooded = neighbour(of: 5, deadline: deadline)
    #expect(flooded.goodShare > 0.999)
    #expect(Double(flooded.p99) < 1.5 * Double(usual.p99))
  }

  @Test("long calls of a batch user leave an online user's calls in time")
  func mixed() {
    var simulation = SchedulingSimulation(clients: [])
    let capacity = simulation.capacity(cost: 10_000)
    simulation.clients = [
      .init(rate: 0.3 * capacity, cost: 10_000, deadline: 3_000_000, level: 0),
      .init(rate: 40_000, cost: 190_000, deadline: nil, level: 0),
    ]
    let outcomes = simulation.run(nanoseconds: 200_000_000)
    #expect(Double(outcomes[0].good) > 0.99 * Double(outcomes[0].offered))
    #expect(outcomes[1].good > 500)
  }

  @Test("the same seed gives the same outcome")
  func deterministic() {
    let runs = (0..<2).map { _ in Self.total(Self.overload(cores: 2, load: 2).run(nanoseconds: 50_000_000)) }
    #expect(runs[0].latencies == runs[1].latencies && runs[0].refusals == runs[1].refusals)
  }

  // MARK: The page

  private static let cores = [1, 4, 16, 64]
  private static let loads = [0.5, 0.8, 1, 1.5, 2, 3, 5]

  private struct Cell {
    var load: Double
    var goodput: Double
    var p50: UInt64
    var p99: UInt64
    var refusedP99: UInt64
    var late: Double

    init(cores: Int, load: Double) {
      let simulation = SchedulingSimulationTests.overload(cores: cores, load: load)
      // As many calls whatever the cores are.
      let nanoseconds = UInt64(1e9 / Double(cores).squareRoot())
      let outcome = SchedulingSimulationTests.total(simulation.run(nanoseconds: nanoseconds))
      let capacity = simulation.capacity(cost: 100_000) * Double(cores) * Double(nanoseconds) / 1e9
      self.load = load
      goodput = Double(outcome.good) / capacity
      p50 = outcome.latency(0.5)
      p99 = outcome.latency(0.99)
      refusedP99 = outcome.refusal(0.99)
      late = Double(outcome.late + outcome.expired) / Double(outcome.offered)
    }

    var row: String {
      func milliseconds(_ value: UInt64) -> String { value == 0 ? "–" : String(format: "%.2f ms", Double(value) / 1e6) }
      return String(format: "%.1f | %.2f | ", load, goodput) + milliseconds(p50) + " | " + milliseconds(p99) + " | "
        + milliseconds(refusedP99) + String(format: " | %.2f%%", late * 100)
    }
  }

  private static func row(cores: Int, _ cell: Cell) -> String { "| \(cores) | \(cell.row) |" }

  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  @Test("the table in docs/scheduling.md is what the simulation gives")
  func page() throws {
    let file = Self.root.appendingPathComponent("docs/scheduling.md")
    var text = try String(contentsOf: file, encoding: .utf8)
    if ProcessInfo.processInfo.environment["UPDATE_GENERATED"] == "1" {
      var rows: [String] = []
      var curves: [(cores: Int, cells: [Cell])] = []
      for cores in Self.cores {
        let cells = Self.loads.map { Cell(cores: cores, load: $0) }
        curves.append((cores, cells))
        rows += cells.map { Self.row(cores: cores, $0) }
      }
      let (begin, end) = ("<!-- simulation:begin -->\n", "<!-- simulation:end -->")
      let head = """
        | cores | load | goodput | p50 | p99 | p99 of refusals | late |
        |---|---|---|---|---|---|---|

        """
      let start = try #require(text.range(of: begin)).upperBound
      let stop = try #require(text.range(of: end)).lowerBound
      text.replaceSubrange(start..<stop, with: head + rows.joined(separator: "\n") + "\n")
      try text.write(to: file, atomically: true, encoding: .utf8)
      try Self.plot(curves).write(
        to: Self.root.appendingPathComponent("docs/images/scheduling.svg"), atomically: true, encoding: .utf8)
    }
    for load in [0.5, 3] {
      let row = Self.row(cores: 1, Cell(cores: 1, load: load))
      #expect(text.contains(row), "make it again with make simulate")
    }
  }

  /// Goodput over load, a line for each number of cores, as an SVG.
  private static func plot(_ curves: [(cores: Int, cells: [Cell])]) -> String {
    func x(_ load: Double) -> Double { 60 + load / 5 * 480 }
    func y(_ goodput: Double) -> Double { 260 - goodput / 1.1 * 220 }
    var lines: [String] = []
    func text(_ x: Double, _ y: Double, _ anchor: String, _ words: String) {
      lines.append("<text x=\"\(Int(x))\" y=\"\(Int(y))\" text-anchor=\"\(anchor)\">\(words)</text>")
    }
    for tick in stride(from: 0.0, through: 1.0, by: 0.25) {
      lines.append(
        "<line x1=\"60\" x2=\"540\" y1=\"\(Int(y(tick)))\" y2=\"\(Int(y(tick)))\" stroke=\"#ddd\"/>")
      text(52, y(tick) + 4, "end", String(format: "%.2f", tick))
    }
    for load in 0...5 { text(x(Double(load)), 280, "middle", "\(load)") }
    text(300, 300, "middle", "offered, in capacities")
    text(60, 25, "start", "answered in time, in capacities")
    for (index, curve) in curves.enumerated() {
      let colour = ["#4e79a7", "#f28e2b", "#59a14f", "#b07aa1"][index % 4]
      let points = curve.cells.map { String(format: "%.1f,%.1f", x($0.load), y($0.goodput)) }.joined(separator: " ")
      lines.append("<polyline points=\"\(points)\" fill=\"none\" stroke=\"\(colour)\" stroke-width=\"2\"/>")
      lines.append(
        "<text x=\"470\" y=\"\(170 + 18 * index)\" fill=\"\(colour)\">\(curve.cores) \(curve.cores == 1 ? "core" : "cores")</text>"
      )
    }
    return """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 580 310" font-family="sans-serif" font-size="12">
      <rect width="580" height="310" fill="white"/>
      \(lines.joined(separator: "\n"))
      </svg>

      """
  }
}
