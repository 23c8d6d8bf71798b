/// Measures plans of one ensemble on the same rows.
final class TreeMeter<Value: TreeValue> {
  private let samples: TreeSamples<Value>
  private let targets: Int
  private let isScored: Bool
  private let planning: TreePlanning
  /// Where the next batch begins: each takes other rows, which the processor has not learned.
  private var next = 0

  /// One timing is at least so long, so that reading the clock is nothing in it.
  private static var timingNanoseconds: UInt64 { 20_000 }
  private static var maximumTimings: Int { 12 }

  init(_ ensemble: TreeEnsemble<Value>, _ aggregate: TreeAggregate, _ planning: TreePlanning) {
    let began = planning.clock()
    samples = Value.samples(ensemble, wanted: TreePlanner<Value>.sizes.last!)
    targets = ensemble.targets
    isScored = ensemble.scoresEveryTarget && (aggregate == .sum || aggregate == .average)
    self.planning = planning
    planning.spend(since: began)
  }

  /// By what a batch's time grows with its rows when they are scored in blocks.
  static func growth(from rows: Int, to more: Int, block: Int) -> Double {
    Double((more + block - 1) / block) / Double((rows + block - 1) / block)
  }

  /// Nanoseconds of a batch of each of `TreePlanner.sizes`; nil for those for which `limit` leaves no time, or that are
  /// more than there are rows. The smallest is always measured once.
  func measure(_ plan: TreePlan<Value>, limit: UInt64) -> [Double?] {
    let sizes = TreePlanner<Value>.sizes
    let most = min(samples.count, sizes.last!)
    let values = UnsafeMutablePointer<Value>.allocate(capacity: most * targets)
    let scored = UnsafeMutablePointer<Bool>.allocate(capacity: most * targets)
    let temporary = UnsafeMutableRawPointer.allocate(
      byteCount: max(64, plan.temporaryBytes(rows: most)), alignment: 64)
    defer {
      values.deallocate()
      scored.deallocate()
      temporary.deallocate()
    }
    scored.initialize(repeating: isScored, count: most * targets)
    values.initialize(repeating: 0, count: most * targets)
    var left = limit
    func spend(_ measure: () -> Double) -> Double {
      let began = planning.clock()
      defer { left -= min(left, planning.spend(since: began)) }
      return measure()
    }
    func score(_ size: Int) {
      samples.rows.withUnsafeBufferPointer { rows in
        if next + size > samples.count { next = 0 }
        let first = rows.baseAddress! + next * samples.stride
        next += size
        plan.add(
          first, stride: samples.stride, count: size, to: TreeScores(values: values, isScored: scored),
          temporary: temporary)
      }
    }
    // All sizes once before any is measured well, so that the small ones do not use up the time of the largest, about
    // which least is known without: that a block of rows costs the same each time is not so where tables are read anew.
    var times = [Double?](repeating: nil, count: sizes.count)
    for (index, size) in sizes.enumerated() where size <= most {
      if index > 0 {
        guard let before = times[index - 1] else { break }
        let growth = Self.growth(from: sizes[index - 1], to: size, block: type(of: plan).block)
        if before * growth > Double(left) { break }
      }
      times[index] = spend {
        // The first row finds nothing in the caches, which would make all that follows look as slow.
        if index == 0 { score(size) }
        let began = planning.clock()
        score(size)
        return Double(max(1, planning.clock() - began))
      }
    }
    var remaining = times.count { $0 != nil }
    for (index, size) in sizes.enumerated() {
      guard let once = times[index] else { break }
      let limit = left / UInt64(remaining)
      remaining -= 1
      guard 2 * once <= Double(limit) else { continue }
      times[index] = min(once, spend { time(limit: limit, batches: max(1, 32 / size)) { score(size) } })
    }
    return times
  }

  /// The least time of a call among a few timings, each of at least `batches` calls where `limit` allows.
  private func time(limit: UInt64, batches: Int, _ body: () -> Void) -> Double {
    let began = planning.clock()
    body()
    var now = planning.clock()
    let once = max(1, now - began)
    let affordable = Int(limit / once / 4)
    let calls = max(1, min(max(batches, Int(Self.timingNanoseconds / once)), affordable))
    var best = Double(once)
    for _ in 0..<Self.maximumTimings {
      guard now - began + once * UInt64(calls) <= limit else { break }
      let start = planning.clock()
      for _ in 0..<calls { body() }
      now = planning.clock()
      best = min(best, Double(now - start) / Double(calls))
    }
    return best
  }
}
