import MartletCore

/// `Binarizer`: 1 above the threshold, else 0. A value that is not a number has no answer and is refused.
final class BinarizerOperator: Operator {
  private let threshold: Float

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(1...1, of: node)
    _ = try context.type(0, of: node, among: NumericInput.types)
    threshold = try node.float("threshold", default: 0)
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    let output = try context.output(0, input.type, input.shape)
    for index in 0..<input.count {
      let value = NumericInput.value(input, index)
      if value.isNaN, !context.isPlanning {
        throw Status(.invalidArgument, "element \(index) of input 0 is not a number")
      }
      let isAbove = value > Double(threshold)
      switch input.type {
      case .float32: output.floats[index] = isAbove ? 1 : 0
      case .float64: output.doubles[index] = isAbove ? 1 : 0
      case .int64: output.integers[index] = isAbove ? 1 : 0
      default: output.pointer(as: Int32.self)[index] = isAbove ? 1 : 0
      }
    }
  }
}
