import MartletCore

/// LightGBMLinearLeaves of the domain `ai.martlet`: margins of trees whose leaves are linear functions.
///
/// Input 0 is the features in double precision, `[rows, features]`, input 1 the leaf of each tree that a row falls into,
/// `[rows, trees]`. The output is `[rows, outputs]`: for each output the sum of its trees, in order, from 0. A leaf adds
/// its constant and then coefficient by coefficient; where a feature of its function is NaN it adds `values` instead.
///
/// Attributes: `first_leaf` tells where each tree's leaves begin in `constants`, `values` and `first_coefficient`, which
/// tells where each leaf's begin in `coefficients` and `coefficient_features`; `outputs`, over which trees take turns.
///
/// Source: LightGBM 4.7, `Tree::Predict` in `include/LightGBM/tree.h`.
final class LightGBMLinearLeavesOperator: Operator {
  private let firstLeaf: ConstantTensor
  private let constants: ConstantTensor
  private let values: ConstantTensor
  private let firstCoefficient: ConstantTensor
  private let coefficients: ConstantTensor
  private let coefficientFeatures: ConstantTensor
  private let trees: Int
  private let outputs: Int
  private let features: Int

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(2...2, of: node)
    _ = try context.type(0, of: node, among: [.float64])
    _ = try context.type(1, of: node, among: [.int64])
    func tensor(_ name: String, _ type: ElementType) throws(ModelError) -> ConstantTensor {
      let tensor = try node.required(name, try node.tensor(name))
      guard tensor.type == type else { throw node.error(attribute: name, "is \(tensor.type), expected \(type)") }
      return tensor
    }
    firstLeaf = try tensor("first_leaf", .int32)
    constants = try tensor("constants", .float64)
    values = try tensor("values", .float64)
    firstCoefficient = try tensor("first_coefficient", .int32)
    coefficients = try tensor("coefficients", .float64)
    coefficientFeatures = try tensor("coefficient_features", .int32)
    outputs = Int(clamping: try node.required("outputs", try node.integer("outputs")))
    guard let shape = context.shape(0), shape.rank == 2, let leaves = context.shape(1), leaves.rank == 2 else {
      throw node.error("has inputs that are no matrices, expected [rows, features] and [rows, trees]")
    }
    features = shape[1]
    trees = leaves[1]
    guard outputs > 0, outputs <= max(1, trees) else {
      throw node.error(attribute: "outputs", "is \(outputs), expected 1 to \(max(1, trees))")
    }
    guard firstLeaf.count == trees + 1, constants.count == values.count,
      Self.isRanges(firstLeaf, over: constants.count), firstCoefficient.count == constants.count + 1,
      Self.isRanges(firstCoefficient, over: coefficients.count), coefficients.count == coefficientFeatures.count
    else { throw node.error("has lists of leaves and coefficients whose lengths do not fit together") }
    let limit = features
    guard coefficientFeatures.array(of: Int32.self).allSatisfy({ $0 >= 0 && $0 < limit }) else {
      throw node.error(attribute: "coefficient_features", "names a feature beyond the \(features) of input 0")
    }
  }

  /// Whether `starts` ascend from 0 to `count`.
  private static func isRanges(_ starts: ConstantTensor, over count: Int) -> Bool {
    let starts = starts.array(of: Int32.self)
    return starts.first == 0 && starts.last == Int32(exactly: count) && zip(starts, starts.dropFirst()).allSatisfy(<=)
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    let leaves = context.input(1)
    guard input.rank == 2, input.dim(1) == features, leaves.rank == 2, leaves.dim(1) == trees,
      leaves.dim(0) == input.dim(0)
    else { throw Status(.invalidArgument, "inputs of shapes \(input.shape) and \(leaves.shape)") }
    let rows = input.dim(0)
    let output = try context.output(0, .float64, Shape(rows, outputs)).doubles
    output.update(repeating: 0, count: rows * outputs)
    let first = firstLeaf.pointer(as: Int32.self)
    for row in 0..<rows {
      let own = leaves.integers + row * trees
      var target = 0
      for tree in 0..<trees {
        let leaf = Int(first[tree]) + Int(truncatingIfNeeded: own[tree])
        guard own[tree] >= 0, leaf < Int(first[tree + 1]) else {
          throw Status(.internalError, "leaf \(own[tree]) of tree \(tree), which has none such")
        }
        output[row * outputs + target] += value(leaf, input.doubles + row * features)
        target = target + 1 == outputs ? 0 : target + 1
      }
    }
  }

  private func value(_ leaf: Int, _ row: UnsafePointer<Double>) -> Double {
    let starts = firstCoefficient.pointer(as: Int32.self)
    let coefficient = coefficients.pointer(as: Double.self)
    let feature = coefficientFeatures.pointer(as: Int32.self)
    var sum = constants.pointer(as: Double.self)[leaf]
    for index in Int(starts[leaf])..<Int(starts[leaf + 1]) {
      let value = row[Int(feature[index])]
      if value.isNaN { return values.pointer(as: Double.self)[leaf] }
      sum += coefficient[index] * value
    }
    return sum
  }
}
