import MartletCore

/// TreeEnsembleClassifier: a label `[rows]` and a score for each class `[rows, classes]`.
///
/// Equal to ONNX Runtime on one thread in every bit. Two classes have rules of their own (`TwoClassRule`); with more,
/// the label is the class with the greatest sum among those that any leaf of the row has a weight for, the first of
/// equal ones, and the transform comes after.
final class TreeClassificationOperator<Value: TreeValue>: TreesOperator {
  let scorer: TreeScorer<Value>
  private let transform: PostTransform
  private let baseValues: [Value]
  private let labels: ClassifierLabels
  private let twoClasses: TwoClassRule<Value>

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    let attributes = TreeEnsembleAttributes(node, kind: "class")
    labels = try ClassifierLabels(node, integers: "classlabels_int64s")
    guard labels.count > 0 else { throw node.error("has no classlabels_strings and no classlabels_int64s") }
    let ensemble: TreeEnsemble<Value> = try attributes.ensemble(targets: labels.count, as: Value.self)
    transform = try attributes.postTransform()
    baseValues = try attributes.numbers("base_values", as: Value.self)
    guard baseValues.count <= labels.count else {
      throw node.error(attribute: "base_values", "has \(baseValues.count) elements, expected \(labels.count) or none")
    }
    let ids = try node.required("class_ids", node.packedIntegers("class_ids"))
    let weights = try attributes.numbers("class_weights", as: Value.self)
    twoClasses = TwoClassRule(
      hasOneScore: labels.count == 2 && ids.isConstant, isPositive: !weights.contains { $0 < 0 },
      baseValues: baseValues, transform: transform)
    try TreeInput<Value>.check(node, context, features: ensemble.features)
    scorer = TreeScorer(ensemble, .sum, label: node.label, context.trees)
  }

  init(_ other: TreeClassificationOperator, _ scorer: TreeScorer<Value>, _ ensemble: TreeEnsemble<Value>) {
    self.scorer = scorer
    transform = other.transform
    baseValues = other.baseValues
    labels = other.labels
    twoClasses = other.twoClasses
  }

  func run(_ context: RunContext) throws(Status) { try Value.run(self, context) }

  /// The body of `TreeValue.run`.
  @inline(__always)
  func runInline(_ context: RunContext) throws(Status) {
    let input = try TreeInput<Value>(context, features: scorer.features)
    let classes = labels.count
    let label = context.wants(0) ? try labels.reserve(context, 0, rows: input.count) : nil
    let output =
      context.wants(1)
      ? try context.output(1, .float32, Shape(input.count, classes)).floats
      : context.temporary(input.count * classes, of: Float.self)
    let block = min(TreeScorer<Value>.rowsAtOnce, max(1, input.count))
    let temporary = context.temporary(scorer.temporaryBytes(rows: block), of: UInt8.self)
    let scores = TreeScores(
      values: context.temporary(block * classes, of: Value.self),
      isScored: context.temporary(block * classes, of: Bool.self))
    for first in stride(from: 0, to: input.count, by: block) {
      let count = min(block, input.count - first)
      scorer.score(
        input.rows + first * input.width, stride: input.width, count: count, into: scores, temporary: temporary)
      for index in 0..<count {
        let row = UnsafeMutableBufferPointer(start: output + (first + index) * classes, count: classes)
        let values = scores.values + index * classes
        let isScored = scores.isScored + index * classes
        switch classes {
        case 1:
          let isPositive = twoClasses.finish(one: values[0], row)
          if let label { labels.write(isPositive ? 1 : 0, asNumber: true, to: label, first + index) }
        case 2:
          let winner = twoClasses.finish(values, isScored, row)
          if let label {
            labels.write(winner, asNumber: !twoClasses.hasOneScore, to: label, first + index)
          }
        default:
          let winner = finish(values, isScored, row)
          if let label { labels.write(winner, asNumber: false, to: label, first + index) }
        }
      }
    }
  }

  /// Three or more classes: writes the row's scores and returns the class that won.
  @inline(__always)
  private func finish(
    _ values: UnsafeMutablePointer<Value>, _ isScored: UnsafeMutablePointer<Bool>,
    _ row: UnsafeMutableBufferPointer<Float>
  ) -> Int {
    for index in 0..<baseValues.count {
      values[index] = isScored[index] ? values[index] + baseValues[index] : baseValues[index]
      isScored[index] = true
    }
    var winner = -1
    for index in row.indices where isScored[index] && (winner < 0 || values[index] > values[winner]) {
      winner = index
    }
    for index in row.indices { row[index] = isScored[index] ? Float(values[index]) : 0 }
    transform.apply(row)
    return max(0, winner)
  }
}

extension TreeClassificationOperator where Value == Float {
  /// The operator in the precision that the node and its input ask for.
  static func make(_ node: GraphNode, _ context: PlanningContext) throws(ModelError) -> AnyOperator {
    if try TreeEnsembleAttributes(node, kind: "class").isDouble(context) {
      return OperatorBox(try TreeClassificationOperator<Double>(node, context: context))
    }
    return OperatorBox(try TreeClassificationOperator<Float>(node, context: context))
  }
}
