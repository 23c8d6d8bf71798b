import MartletCore

/// `Imputer`: a value that stands for a missing one, NaN for example, is replaced by that of its feature.
final class ImputerOperator: Operator {
  private let floats: [Float]
  private let replacedFloat: Float
  private let integers: [Int64]
  private let replacedInteger: Int64

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(1...1, of: node)
    let type = try context.type(0, of: node, among: [.float32, .int64])
    floats = try node.floats("imputed_value_floats") ?? []
    integers = try node.integers("imputed_value_int64s") ?? []
    replacedFloat = try node.float("replaced_value_float", default: 0)
    replacedInteger = try node.integer("replaced_value_int64", default: 0)
    guard type == .float32 ? !floats.isEmpty : !integers.isEmpty else {
      let name = type == .float32 ? "imputed_value_floats" : "imputed_value_int64s"
      throw node.error(attribute: name, "is missing for an input of \(type)")
    }
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    let features = max(1, input.shape.last)
    let count = input.type == .float32 ? floats.count : integers.count
    guard count == 1 || count == features else {
      throw Status(.invalidArgument, "input 0 has \(features) features, expected \(count)")
    }
    let output = try context.output(0, input.type, input.shape)
    let step = count == 1 ? 0 : 1
    if input.type == .float32 {
      let replacesNaN = replacedFloat.isNaN
      for index in 0..<input.count {
        let value = input.floats[index]
        let isMissing = replacesNaN ? value.isNaN : value == replacedFloat
        output.floats[index] = isMissing ? floats[index % features * step] : value
      }
    } else {
      for index in 0..<input.count {
        let value = input.integers[index]
        output.integers[index] = value == replacedInteger ? integers[index % features * step] : value
      }
    }
  }
}
