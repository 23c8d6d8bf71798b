import MartletCore

/// XGBoostLinear of the domain `ai.martlet`: the linear booster of XGBoost, sums `[rows, outputs]` in single precision.
///
/// Attribute `weights` is `[features + 1, outputs]`, its last row the intercepts; `base_score` is added to each of
/// these first. Features are added in their order; one that is missing (NaN) is left out.
final class XGBoostLinearOperator: Operator {
  private let weights: ConstantTensor
  private let features: Int
  private let outputs: Int
  private let baseScore: Float

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(1...1, of: node)
    _ = try context.type(0, of: node, among: [.float32])
    weights = try node.required("weights", node.tensor("weights"))
    guard weights.type == .float32, weights.shape.rank == 2, weights.shape[0] > 1, weights.shape[1] > 0 else {
      throw node.error(
        attribute: "weights", "is \(weights.type) \(weights.shape), expected float32 [features + 1, outputs]")
    }
    features = weights.shape[0] - 1
    outputs = weights.shape[1]
    guard let shape = context.shape(0), shape.rank == 2, shape[1] == features else {
      throw node.error("input 0 has the shape \(context.shape(0) ?? Shape()), expected [rows, \(features)]")
    }
    baseScore = try node.float("base_score", default: 0)
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    let rows = input.dim(0)
    let output = try context.output(0, .float32, Shape(rows, outputs)).floats
    let weights = weights.pointer(as: Float.self)
    for row in 0..<rows {
      let values = input.floats + row * features
      let sums = output + row * outputs
      for target in 0..<outputs { sums[target] = weights[features * outputs + target] + baseScore }
      for feature in 0..<features where !values[feature].isNaN {
        for target in 0..<outputs { sums[target] += values[feature] * weights[feature * outputs + target] }
      }
    }
  }
}
