import MartletCore

/// `LpNormalization`: elements divided by the sum of magnitudes, or by the Euclidean norm, along an axis; zeros where it
/// is 0.
final class LpNormalizationOperator: Operator {
  private let type: ElementType
  private let axis: Int
  private let isEuclidean: Bool

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(1...1, of: node)
    type = try context.type(0, of: node, among: ElementType.floats)
    axis = try node.axis(default: -1)
    switch try node.integer("p", default: 2) {
    case 1: isEuclidean = false
    case 2: isEuclidean = true
    case let p: throw node.error(attribute: "p", "is \(p), expected 1 or 2")
    }
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    let axis = try input.shape.checkedAxis(axis)
    let output = try context.output(0, type, input.shape)
    if type == .float32 {
      normalize(input, output, axis, Float.self)
    } else {
      normalize(input, output, axis, Double.self)
    }
  }

  private func normalize<T: FloatElement>(_ input: Tensor, _ output: Tensor, _ axis: Int, _: T.Type) {
    let shape = input.shape
    let size = shape[axis]
    let step = shape.product((axis + 1)..<shape.rank)
    for outer in 0..<shape.product(0..<axis) {
      for inner in 0..<step {
        let from = input.pointer(as: T.self) + outer * size * step + inner
        let to = output.pointer(as: T.self) + outer * size * step + inner
        var sum: T = 0
        for i in 0..<size { sum += isEuclidean ? from[i * step] * from[i * step] : from[i * step].magnitude }
        let norm = isEuclidean ? sum.squareRoot() : sum
        for i in 0..<size { to[i * step] = norm == 0 ? 0 : from[i * step] / norm }
      }
    }
  }
}
