import MartletCore

/// TreeEnsembleRegressor, and TreeEnsemble of version 5 which is the same but for its attributes: sums (or means,
/// minima, maxima) of leaf weights for one or several targets.
///
/// Equal to ONNX Runtime on one thread in every bit, including what it does beyond the specification: with one target
/// only PROBIT is applied; with several, a target that no leaf of the row has a weight for is 0 before the transform.
final class TreeRegressionOperator<Value: TreeValue>: TreesOperator {
  let scorer: TreeScorer<Value>
  private let transform: PostTransform
  private let baseValues: [Value]
  /// Double precision of version 5 alone.
  private let outputType: ElementType

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    let ensemble: TreeEnsemble<Value>
    let aggregate: TreeAggregate
    if node.opType == "TreeEnsemble" {
      let attributes = TreeEnsembleAttributesV5(node)
      ensemble = try attributes.ensemble(as: Value.self)
      aggregate = try attributes.aggregate()
      transform = try attributes.postTransform()
      baseValues = []
      outputType = Value.self == Double.self ? .float64 : .float32
    } else {
      let attributes = TreeEnsembleAttributes(node, kind: "target")
      let targets = try node.required("n_targets", node.integer("n_targets"))
      guard targets > 0, targets <= 1 << 20 else {
        throw node.error(attribute: "n_targets", "is \(targets), expected 1 to \(1 << 20)")
      }
      ensemble = try attributes.ensemble(targets: Int(targets), as: Value.self)
      let name = try node.text("aggregate_function", default: "SUM")
      guard let known = TreeAggregate(name: name) else {
        throw node.error(attribute: "aggregate_function", "is '\(name)', expected SUM, AVERAGE, MIN or MAX")
      }
      aggregate = known
      transform = try attributes.postTransform()
      baseValues = try attributes.numbers("base_values", as: Value.self)
      guard [0, 1, ensemble.targets].contains(baseValues.count) else {
        throw node.error(attribute: "base_values", "has \(baseValues.count) elements, expected \(targets), 1 or none")
      }
      outputType = .float32
    }
    try TreeInput<Value>.check(node, context, features: ensemble.features)
    scorer = TreeScorer(ensemble, aggregate, label: node.label, context.trees)
  }

  init(_ other: TreeRegressionOperator, _ scorer: TreeScorer<Value>, _ ensemble: TreeEnsemble<Value>) {
    self.scorer = scorer
    transform = other.transform
    baseValues = other.baseValues
    outputType = other.outputType
  }

  func run(_ context: RunContext) throws(Status) { try Value.run(self, context) }

  /// The body of `TreeValue.run`.
  @inline(__always)
  func runInline(_ context: RunContext) throws(Status) {
    let input = try TreeInput<Value>(context, features: scorer.features)
    let targets = scorer.targets
    let output = try context.output(0, outputType, Shape(input.count, targets))
    let block = min(TreeScorer<Value>.rowsAtOnce, max(1, input.count))
    let temporary = context.temporary(scorer.temporaryBytes(rows: block), of: UInt8.self)
    let scores = TreeScores(
      values: context.temporary(block * targets, of: Value.self),
      isScored: context.temporary(block * targets, of: Bool.self))
    let row = UnsafeMutableBufferPointer(start: context.temporary(targets, of: Float.self), count: targets)
    for first in stride(from: 0, to: input.count, by: block) {
      let count = min(block, input.count - first)
      scorer.score(
        input.rows + first * input.width, stride: input.width, count: count, into: scores, temporary: temporary)
      if targets == 1 {
        for index in 0..<count {
          let score = finished(scores.values[index])
          if outputType == .float32 {
            output.floats[first + index] =
              transform == .probit ? PostTransform.probit(Float(score)) : Float(score)
          } else {
            output.doubles[first + index] =
              transform == .probit ? Double(PostTransform.probit(Float(score))) : Double(score)
          }
        }
        continue
      }
      for index in 0..<count {
        let values = scores.values + index * targets
        for target in 0..<targets {
          let isScored = scores.isScored[index * targets + target]
          values[target] = isScored ? finished(values[target], target) : 0
          row[target] = Float(values[target])
        }
        transform.apply(row)
        let place = (first + index) * targets
        for target in 0..<targets {
          if outputType == .float32 {
            output.floats[place + target] = row[target]
          } else {
            output.doubles[place + target] = transform == .none ? Double(values[target]) : Double(row[target])
          }
        }
      }
    }
  }

  /// The one target's aggregate with its base value.
  @inline(__always)
  private func finished(_ score: Value) -> Value {
    let base = baseValues.first ?? 0
    return scorer.aggregate == .average ? score / Value(scorer.trees) + base : score + base
  }

  /// One of several targets' aggregate; a single base value is not one for each.
  @inline(__always)
  private func finished(_ score: Value, _ target: Int) -> Value {
    guard baseValues.count == scorer.targets else {
      return scorer.aggregate == .average ? score / Value(scorer.trees) : score
    }
    return scorer.aggregate == .average ? score / Value(scorer.trees) + baseValues[target] : score + baseValues[target]
  }
}

extension TreeRegressionOperator where Value == Float {
  /// The operator in the precision that the node and its input ask for.
  static func make(_ node: GraphNode, _ context: PlanningContext) throws(ModelError) -> AnyOperator {
    let isDouble =
      node.opType == "TreeEnsemble"
      ? try TreeEnsembleAttributesV5(node).isDouble(context)
      : try TreeEnsembleAttributes(node, kind: "target").isDouble(context)
    if isDouble { return OperatorBox(try TreeRegressionOperator<Double>(node, context: context)) }
    return OperatorBox(try TreeRegressionOperator<Float>(node, context: context))
  }
}
