/// An ensemble ready to be scored: for each size of batch the plan that is fastest there.
///
/// Immutable, shared by all threads.
final class TreeScorer<Value: TreeValue>: @unchecked Sendable {
  // `@unchecked Sendable`: all properties are constants; the memory they point to is written by `init` only.

  let targets: Int
  let features: Int
  let trees: Int
  let aggregate: TreeAggregate
  /// Whether every row has a score for every target, so that `TreeScores.isScored` is always true for sums.
  let scoresEveryTarget: Bool
  /// What each target's sum begins with; nil for 0.
  private let starts: UnsafeMutablePointer<Value>?

  private struct Choice {
    var plan: Unmanaged<TreePlan<Value>>
    /// Rows that the plan scores side by side: fewer cost as much.
    var block: Int
  }

  /// The trees while they are not planned, and walked node by node.
  let postponed: TreeEnsemble<Value>?
  /// What messages call the trees.
  private let label: String
  private let startsAt: [Value]

  /// Keeps the plans that `choices` refer to.
  private let plans: [TreePlan<Value>]
  /// By the number of rows, from 0 to `rowsAtOnce`.
  private let choices: UnsafeMutablePointer<Choice>
  /// What the plans need beside their arguments, by the number of rows as well.
  private let neededBytes: UnsafeMutablePointer<Int>

  /// Rows of one call of `score`, so that their values stay in the cache and temporary memory stays bounded.
  static var rowsAtOnce: Int { 512 }

  /// Plans the ensemble within the time that `planning` has left, and reports it there under `label`. `startsAt` is
  /// what each target's sum begins with, before the first tree; empty for 0.
  convenience init(
    _ ensemble: TreeEnsemble<Value>, _ aggregate: TreeAggregate, startsAt: [Value] = [], label: String,
    _ planning: TreePlanning
  ) {
    self.init(ensemble, aggregate, startsAt, label, planning.isPostponing ? nil : planning)
  }

  /// The same with other trees, which are not planned without `planning`.
  func with(_ ensemble: TreeEnsemble<Value>, _ planning: TreePlanning?) -> TreeScorer {
    TreeScorer(ensemble, aggregate, startsAt, label, planning)
  }

  private init(
    _ ensemble: TreeEnsemble<Value>, _ aggregate: TreeAggregate, _ startsAt: [Value], _ label: String,
    _ planning: TreePlanning?
  ) {
    precondition(startsAt.isEmpty || startsAt.count == ensemble.targets)
    self.startsAt = startsAt
    self.label = label
    postponed = planning == nil ? ensemble : nil
    targets = ensemble.targets
    features = ensemble.rowWidth
    trees = ensemble.roots.count
    self.aggregate = aggregate
    scoresEveryTarget = ensemble.scoresEveryTarget
    let candidates =
      planning.map { TreePlanner.plan(ensemble, aggregate, label: label, $0) }
      ?? [.init(plan: WalkPlan(ensemble, aggregate)!, block: WalkPlan<Value>.block, nanoseconds: [0, 0, 0, 0])]
    plans = candidates.map(\.plan)
    choices = .allocate(capacity: Self.rowsAtOnce + 1)
    neededBytes = .allocate(capacity: Self.rowsAtOnce + 1)
    for rows in 0...Self.rowsAtOnce {
      (neededBytes + rows).initialize(to: plans.reduce(0) { max($0, $1.temporaryBytes(rows: rows)) })
      let best = candidates.min { Self.nanoseconds($0, rows) < Self.nanoseconds($1, rows) }!
      (choices + rows).initialize(to: Choice(plan: .passUnretained(best.plan), block: best.block))
    }
    if startsAt.isEmpty {
      starts = nil
    } else {
      let memory = UnsafeMutablePointer<Value>.allocate(capacity: startsAt.count)
      _ = UnsafeMutableBufferPointer(start: memory, count: startsAt.count).initialize(from: startsAt)
      starts = memory
    }
  }

  deinit {
    starts?.deallocate()
    neededBytes.deallocate()
    choices.deallocate()
  }

  /// What a candidate takes for any number of rows, on lines between the sizes that are known.
  private static func nanoseconds(_ candidate: TreePlanner<Value>.Candidate, _ rows: Int) -> Double {
    let sizes = TreePlanner<Value>.sizes
    let above = sizes.firstIndex { $0 >= rows } ?? sizes.count - 1
    guard above > 0 else { return candidate.nanoseconds[0] }
    let part = Double(rows - sizes[above - 1]) / Double(sizes[above] - sizes[above - 1])
    return candidate.nanoseconds[above - 1] * (1 - part) + candidate.nanoseconds[above] * part
  }

  /// Bytes that `score` needs for at most `rows` rows, themselves at most `rowsAtOnce`.
  @inline(__always)
  func temporaryBytes(rows: Int) -> Int { neededBytes[rows] }

  /// Writes what all trees give for `count` rows, at most `rowsAtOnce`: `[count, targets]`.
  ///
  /// `rows` is `[count, stride]` of at least `features` columns; `temporary` is of `temporaryBytes(rows: count)` and
  /// aligned to 64. For AVERAGE these are the sums still. Any thread; allocates nothing.
  @inline(__always)
  func score(
    _ rows: UnsafePointer<Value>, stride: Int, count: Int, into scores: TreeScores<Value>,
    temporary: UnsafeMutableRawPointer
  ) {
    Value.start(self, scores, count: count)
    var first = 0
    while first < count {
      let choice = choices[count - first]
      var part = count - first
      // A block that is not full costs as much as a full one: what is left over goes to the plan for so few rows.
      if part > choice.block { part -= part % choice.block }
      choice.plan._withUnsafeGuaranteedRef {
        $0.add(
          rows + first * stride, stride: stride, count: part,
          to: TreeScores(values: scores.values + first * targets, isScored: scores.isScored + first * targets),
          temporary: temporary)
      }
      first += part
    }
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
