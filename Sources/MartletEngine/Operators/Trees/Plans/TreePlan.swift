/// An ensemble compiled into one of the forms in which it can be scored: a *plan kind*.
///
/// All kinds give the same bits; which of them is fast depends on the shape of the trees, the number of rows and the
/// processor, so the planner measures. A new kind is one file with a final subclass and one line in `TreePlanKinds`.
/// Subclass `TreePlan<Float>` rather than a generic kind where possible: methods of generic classes run unspecialized.
/// A generic kind forwards its loop to a requirement of `TreeValue`, as `WalkPlan` does.
///
/// `@unchecked Sendable`: subclasses are immutable after `init`, and shared by all threads.
class TreePlan<Value: TreeValue>: @unchecked Sendable {
  /// What `MARTLET_PLAN` and `describe --plan` call the kind: a lower-case word.
  class var kind: String { preconditionFailure("abstract") }

  /// Rows that are scored side by side: fewer cost as much. 1 for kinds that take a row at a time.
  class var block: Int { 1 }

  /// Compiles the ensemble; nil when its shape is not one that this kind handles, or does not fit this processor.
  ///
  /// May keep the ensemble, but what is not needed to score should go: a plan stays as long as the model.
  required init?(_ ensemble: TreeEnsemble<Value>, _ aggregate: TreeAggregate) {}

  /// The same, for kinds that share work with others.
  class func make(_ source: PlanSource<Value>) -> TreePlan<Value>? { self.init(source.ensemble, source.aggregate) }

  /// Bytes that the plan keeps, the ensemble included if it does.
  var bytes: Int { preconditionFailure("abstract") }

  /// Bytes that `add` needs beside its arguments for `rows` rows; grows with them.
  func temporaryBytes(rows: Int) -> Int { 0 }

  /// Adds all trees in order to what `scores.values` hold for each of `count` rows: for SUM and AVERAGE each target's
  /// start value, which is the first operand of its sum.
  ///
  /// `rows` is `[count, stride]` of at least `features` columns, `count` at most `TreeScorer.rowsAtOnce`.
  /// `scores.isScored` is true already where `TreeEnsemble.scoresEveryTarget` says so for sums; else it is false, and
  /// set for the targets that a row's leaves have weights for (with one target, only for MIN and MAX, whose state it
  /// is). `temporary` is of `temporaryBytes(rows: count)` and aligned to 64. Any thread; allocates nothing.
  func add(
    _ rows: UnsafePointer<Value>, stride: Int, count: Int, to scores: TreeScores<Value>,
    temporary: UnsafeMutableRawPointer
  ) { preconditionFailure("abstract") }
}
