import MartletCore

/// The type of thresholds, leaf weights and sums of an ensemble: `Float` or `Double`.
///
/// Methods of generic classes run unspecialized. So each loop over rows or trees is a requirement here, which the two
/// types satisfy with the same inlined body: compiled once for each of them.
protocol TreeValue: BinaryFloatingPoint, BitwiseCopyable, Sendable {
  /// The kinds of plans that the planner tries.
  static var planKinds: [TreePlan<Self>.Type] { get }

  /// Sorts values of which none is NaN.
  static func sort(_ values: inout [Self])

  /// The ensemble on codes; nil when `CodedTreesBuilder` does not take it.
  static func coded(_ ensemble: TreeEnsemble<Self>, _ width: CodeWidth) -> CodedTrees<Self>?

  /// `TreePlan.add` of the reference walk.
  static func walk(
    _ ensemble: TreeEnsemble<Self>, _ aggregate: TreeAggregate, _ rows: UnsafePointer<Self>, stride: Int, count: Int,
    to scores: TreeScores<Self>)

  /// Lays an ensemble out for `InterleavedPlan`; nil when it has no room.
  static func interleave(_ ensemble: TreeEnsemble<Self>) -> InterleavedTrees<Self>?

  /// `TreePlan.add` of `InterleavedPlan`.
  static func addInterleaved(
    _ trees: InterleavedTrees<Self>, _ rows: UnsafePointer<Self>, stride: Int, count: Int, to scores: TreeScores<Self>,
    temporary: UnsafeMutableRawPointer)

  /// At most `wanted` rows for measuring an ensemble.
  static func samples(_ ensemble: TreeEnsemble<Self>, wanted: Int) -> TreeSamples<Self>

  /// Writes what the sums of `count` rows begin with.
  static func start(_ scorer: TreeScorer<Self>, _ scores: TreeScores<Self>, count: Int)

  /// `TreeRegressionOperator.run`.
  static func run(_ regression: TreeRegressionOperator<Self>, _ context: RunContext) throws(Status)

  /// `TreeClassificationOperator.run`.
  static func run(_ classification: TreeClassificationOperator<Self>, _ context: RunContext) throws(Status)

  /// `NativeTreeEnsembleOperator.run`.
  static func run(_ native: NativeTreeEnsembleOperator<Self>, _ context: RunContext) throws(Status)
}

extension Float: TreeValue {
  static var planKinds: [TreePlan<Float>.Type] { TreePlanKinds.float }

  static func coded(_ ensemble: TreeEnsemble<Float>, _ width: CodeWidth) -> CodedTrees<Float>? {
    CodedTreesBuilder(ensemble, width).build()
  }

  static func walk(
    _ ensemble: TreeEnsemble<Float>, _ aggregate: TreeAggregate, _ rows: UnsafePointer<Float>, stride: Int, count: Int,
    to scores: TreeScores<Float>
  ) {
    ensemble.walkInline(aggregate, rows, stride: stride, count: count, to: scores)
  }

  static func samples(_ ensemble: TreeEnsemble<Float>, wanted: Int) -> TreeSamples<Float> {
    TreeSamples(inline: ensemble, wanted: wanted)
  }

  static func start(_ scorer: TreeScorer<Float>, _ scores: TreeScores<Float>, count: Int) {
    scorer.startInline(scores, count: count)
  }

  static func run(_ regression: TreeRegressionOperator<Float>, _ context: RunContext) throws(Status) {
    try regression.runInline(context)
  }

  static func run(_ classification: TreeClassificationOperator<Float>, _ context: RunContext) throws(Status) {
    try classification.runInline(context)
  }

  static func run(_ native: NativeTreeEnsembleOperator<Float>, _ context: RunContext) throws(Status) {
    try native.runInline(context)
  }
}

extension Double: TreeValue {
  static var planKinds: [TreePlan<Double>.Type] { TreePlanKinds.double }

  static func sort(_ values: inout [Double]) { values.sort() }

  static func coded(_ ensemble: TreeEnsemble<Double>, _ width: CodeWidth) -> CodedTrees<Double>? {
    CodedTreesBuilder(ensemble, width).build()
  }

  static func walk(
    _ ensemble: TreeEnsemble<Double>, _ aggregate: TreeAggregate, _ rows: UnsafePointer<Double>, stride: Int,
    count: Int, to scores: TreeScores<Double>
  ) {
    ensemble.walkInline(aggregate, rows, stride: stride, count: count, to: scores)
  }

  static func samples(_ ensemble: TreeEnsemble<Double>, wanted: Int) -> TreeSamples<Double> {
    TreeSamples(inline: ensemble, wanted: wanted)
  }

  static func start(_ scorer: TreeScorer<Double>, _ scores: TreeScores<Double>, count: Int) {
    scorer.startInline(scores, count: count)
  }

  static func run(_ regression: TreeRegressionOperator<Double>, _ context: RunContext) throws(Status) {
    try regression.runInline(context)
  }

  static func run(_ classification: TreeClassificationOperator<Double>, _ context: RunContext) throws(Status) {
    try classification.runInline(context)
  }

  static func run(_ native: NativeTreeEnsembleOperator<Double>, _ context: RunContext) throws(Status) {
    try native.runInline(context)
  }
}
