/// An ensemble ready to be scored: for each size of batch the plan that is fastest there.
///
/// Immutable, shared by all threads.
final class TreeScorer<Value: TreeValue>: @unchecked Sendable {
  // `@unchecked Sendable`: all properties are constants; the memory of `starts` is written by `init` only.

  let targets: Int
  let features: Int
  let trees: Int
  let aggregate: TreeAggregate
  /// Whether every row has a score for every target, so that `TreeScores.isScored` is always true for sums.
  let scoresEveryTarget: Bool
  private let plan: TreePlan<Value>
  /// What each target's sum begins with; nil for 0.
  private let starts: UnsafeMutablePointer<Value>?

  /// Rows of one call of `score`, so that their values stay in the cache and temporary memory stays bounded.
  static var rowsAtOnce: Int { 256 }

  /// `startsAt` is what each target's sum begins with, before the first tree; empty for 0.
  init(_ ensemble: TreeEnsemble<Value>, _ aggregate: TreeAggregate, startsAt: [Value] = []) {
    precondition(startsAt.isEmpty || startsAt.count == ensemble.targets)
    targets = ensemble.targets
    features = ensemble.features
    trees = ensemble.roots.count
    self.aggregate = aggregate
    scoresEveryTarget = ensemble.scoresEveryTarget
    plan = WalkPlan(ensemble, aggregate)!
    if startsAt.isEmpty {
      starts = nil
    } else {
      let memory = UnsafeMutablePointer<Value>.allocate(capacity: startsAt.count)
      _ = UnsafeMutableBufferPointer(start: memory, count: startsAt.count).initialize(from: startsAt)
      starts = memory
    }
  }

  deinit { starts?.deallocate() }

  /// Bytes that `score` needs for at most `rows` rows.
  func temporaryBytes(rows: Int) -> Int { plan.temporaryBytes(rows: rows) }

  /// Writes what all trees give for `count` rows, at most `rowsAtOnce`: `[count, targets]`.
  ///
  /// `rows` is `[count, stride]` of at least `features` columns; `temporary` is of `temporaryBytes(rows: count)` and
  /// aligned to 64. For AVERAGE these are the sums still. Any thread; allocates nothing.
  func score(
    _ rows: UnsafePointer<Value>, stride: Int, count: Int, into scores: TreeScores<Value>,
    temporary: UnsafeMutableRawPointer
  ) {
    Value.start(self, scores, count: count)
    plan.add(rows, stride: stride, count: count, to: scores, temporary: temporary)
  }

  /// The body of `TreeValue.start`.
  @inline(__always)
  func startInline(_ scores: TreeScores<Value>, count: Int) {
    let isSum = aggregate == .sum || aggregate == .average
    scores.isScored.initialize(repeating: isSum && scoresEveryTarget, count: count * targets)
    guard let starts else { return scores.values.initialize(repeating: 0, count: count * targets) }
    for row in 0..<count {
      (scores.values + row * targets).initialize(from: starts, count: targets)
    }
  }
}
