import Foundation
import Glibc
import MartletCore
import MartletFormats
import Synchronization

/// Scores blocks of fresh rows with a model's plan, as often as its standard input asks for.
///
///     EngineBenchmark MODEL POOL
///
/// Says `READY SUMMARY`, then answers a line each: `run BATCH SECONDS THREADS` with `OK NANOSECONDS-A-ROW`, `answers
/// COUNT` with `OK` and the last output's last element of each row. A row's cost is that of laying it into the tile and
/// of scoring, encoding included; each thread has a tile and scratch memory of its own, and shares the plan.
@main
enum EngineBenchmark {
  static func main() {
    do {
      guard CommandLine.arguments.count == 3 else {
        throw RowPool.Failure(message: "usage: EngineBenchmark MODEL POOL")
      }
      let plan = try load(CommandLine.arguments[1])
      let pool = try RowPool(path: CommandLine.arguments[2])
      try pool.check(plan.signature)
      say("READY \(plan.summary)")
      let lanes = (0..<16).map { Lane(plan, pool, first: pool.rows / 16 * $0) }
      while let line = readLine() {
        let words = line.split(separator: " ").map(String.init)
        if words.count == 4, words[0] == "run", let batch = Int(words[1]), let seconds = Double(words[2]),
          let threads = Int(words[3]), (1...16).contains(threads), (1...pool.rows).contains(batch)
        {
          say("OK \(try run(lanes.prefix(threads), batch, seconds))")
        } else if words.count == 2, words[0] == "answers", let count = Int(words[1]), (1...pool.rows).contains(count) {
          say("OK " + (try lanes[0].answers(count)).map { "\($0)" }.joined(separator: " "))
        } else {
          say("ERROR \(line) is none of: run BATCH SECONDS THREADS, answers COUNT")
        }
      }
    } catch {
      let message = (error as? RowPool.Failure)?.message ?? (error as? Status)?.message ?? "\(error)"
      FileHandle.standardError.write(Data("EngineBenchmark: \(message)\n".utf8))
      exit(1)
    }
  }

  private static func say(_ line: String) {
    print(line)
    fflush(nil)
  }

  private static func load(_ path: String) throws -> any ScoringPlan {
    let bytes = try Data(contentsOf: URL(filePath: path))
    return try bytes.withUnsafeBytes { try ModelLoader.load(bytes: $0).plan }
  }

  /// Runs every lane on a thread of its own; wall time over all rows, in nanoseconds.
  private static func run(_ lanes: ArraySlice<Lane>, _ batch: Int, _ seconds: Double) throws -> Double {
    let race = Race(lanes.count, batch, seconds)
    let group = DispatchGroup()
    for lane in lanes.dropFirst() {
      group.enter()
      Thread {
        race.run(lane)
        group.leave()
      }.start()
    }
    race.run(lanes.first!)
    group.wait()
    return try race.nanosecondsARow()
  }
}

/// Lanes that begin together.
final class Race: Sendable {
  private let lanes: Int
  private let batch: Int
  private let seconds: Double
  private let ready = Atomic<Int>(0)
  private let outcomes = Mutex<(rates: [Double], failure: String?)>(([], nil))

  init(_ lanes: Int, _ batch: Int, _ seconds: Double) {
    self.lanes = lanes
    self.batch = batch
    self.seconds = seconds
  }

  func run(_ lane: Lane) {
    do throws(Status) {
      // What the measurement before left in the caches is not to be paid here.
      _ = try lane.run(batch, seconds * 0.15)
      ready.add(1, ordering: .acquiringAndReleasing)
      while ready.load(ordering: .acquiring) < lanes {}
      let rate = try lane.run(batch, seconds)
      outcomes.withLock { $0.rates.append(rate) }
    } catch {
      // Nobody is to wait for this one.
      ready.add(lanes, ordering: .acquiringAndReleasing)
      outcomes.withLock { $0.failure = error.message }
    }
  }

  func nanosecondsARow() throws -> Double {
    try outcomes.withLock { outcomes in
      if let failure = outcomes.failure { throw RowPool.Failure(message: failure) }
      return 1e9 / outcomes.rates.reduce(0, +)
    }
  }
}

/// One thread's tile and place in the pool.
///
/// `@unchecked Sendable`: one thread at a time runs a lane.
final class Lane: @unchecked Sendable {
  private let plan: any ScoringPlan
  private let pool: RowPool
  private var tile: Tile
  private let scratch: PlanScratch
  private var position: Int

  init(_ plan: any ScoringPlan, _ pool: RowPool, first: Int) {
    self.plan = plan
    self.pool = pool
    tile = Tile(plan: plan, capacity: 1)
    scratch = plan.makeScratch()
    position = first
  }

  private func step(_ batch: Int) throws(Status) {
    if position + batch > pool.rows { position = 0 }
    pool.fill(tile, first: position, count: batch)
    try plan.score(tile, rows: 0..<batch, scratch: scratch)
    position += batch
  }

  /// Rows a second over at least `seconds`.
  func run(_ batch: Int, _ seconds: Double) throws(Status) -> Double {
    tile.grow(to: batch)
    let stride = batch >= 64 ? 1 : 64 / batch
    let began = MonotonicTime.now()
    var rows = 0
    var spent = 0.0
    repeat {
      for _ in 0..<stride { try step(batch) }
      rows += stride * batch
      spent = Double(MonotonicTime.now().nanoseconds(since: began)) * 1e-9
    } while spent < seconds
    return Double(rows) / spent
  }

  func answers(_ count: Int) throws(Status) -> [Double] {
    tile.grow(to: count)
    pool.fill(tile, first: 0, count: count)
    try plan.score(tile, rows: 0..<count, scratch: scratch)
    let last = tile.outputs.count - 1
    let block = tile.outputs[last]
    return (0..<count).map { row in
      let start = tile.output(last) + row * block.stride + (block.width - 1) * block.type.byteWidth
      return block.type == .float64 ? start.load(as: Double.self) : Double(start.load(as: Float.self))
    }
  }
}
