import MartletCore

/// `LinearRegressor`: products with coefficients plus intercepts, one or more targets.
final class LinearRegressorOperator: Operator, LinearScorer {
  let weights: LinearWeights
  private let transform: PostTransform

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(1...1, of: node)
    _ = try context.type(0, of: node, among: NumericInput.types)
    let name = try node.text("post_transform", default: "NONE")
    guard let transform = PostTransform(name: name) else {
      throw node.error(attribute: "post_transform", "is '\(name)', expected \(PostTransform.names)")
    }
    self.transform = transform
    let targets = try node.integer("targets", default: 1)
    guard targets > 0, targets < 1 << 20 else { throw node.error(attribute: "targets", "is \(targets)") }
    weights = try LinearWeights(
      node, coefficients: try node.required("coefficients", try node.floats("coefficients")),
      intercepts: try node.floats("intercepts") ?? [], targets: Int(targets))
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    let (rows, features) = try NumericInput.matrix(input)
    guard features == weights.features else {
      throw Status(.invalidArgument, "input 0 has \(features) features, expected \(weights.features)")
    }
    let output = try context.output(0, .float32, Shape(rows, weights.targets)).floats
    weights.score(input, to: output, rows: rows, context)
    applyTransform(output, rows: rows)
  }

  func finish(_ scores: UnsafeMutablePointer<Float>, rows: Int, _ context: RunContext) throws(Status) {
    let output = try context.output(0, .float32, Shape(rows, weights.targets)).floats
    output.update(from: scores, count: rows * weights.targets)
    applyTransform(output, rows: rows)
  }

  private func applyTransform(_ output: UnsafeMutablePointer<Float>, rows: Int) {
    let targets = weights.targets
    // One target: ONNX Runtime applies PROBIT alone.
    if targets == 1 {
      guard case .probit = transform else { return }
      for row in 0..<rows { output[row] = PostTransform.probit(output[row]) }
    } else {
      for row in 0..<rows { transform.apply(UnsafeMutableBufferPointer(start: output + row * targets, count: targets)) }
    }
  }
}
