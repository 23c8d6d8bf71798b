import MartletCore

/// MissingValue of the domain `ai.martlet`: real numbers in which those equal to the attribute `value` have become NaN,
/// which is what all other operators know as missing.
final class MissingValueOperator: Operator {
  private let value: Double

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(1...1, of: node)
    _ = try context.type(0, of: node, among: [.float32, .float64])
    let tensor = try node.required("value", node.tensor("value"))
    guard tensor.type == .float64, tensor.count == 1 else {
      throw node.error(attribute: "value", "is \(tensor.type) \(tensor.shape), expected one float64")
    }
    value = tensor.array(of: Double.self)[0]
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    let output = try context.output(0, input.type, input.shape)
    if input.type == .float32 {
      let single = Float(value)
      for index in 0..<input.count {
        output.floats[index] = input.floats[index] == single ? .nan : input.floats[index]
      }
    } else {
      for index in 0..<input.count {
        output.doubles[index] = input.doubles[index] == value ? .nan : input.doubles[index]
      }
    }
  }
}
