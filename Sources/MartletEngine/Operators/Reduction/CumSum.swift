import MartletCore

/// `CumSum`: sums of the elements so far along an axis, with or without the element itself, from either end.
final class CumSumOperator: Operator {
  private let type: ElementType
  private let exclusive: Bool
  private let reverse: Bool

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(2...2, of: node)
    type = try context.type(0, of: node, among: [.float32, .float64, .int32, .int64, .uint32, .uint64])
    _ = try context.type(1, of: node, among: [.int32, .int64])
    exclusive = try node.flag("exclusive", default: false)
    reverse = try node.flag("reverse", default: false)
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    let shape = input.shape
    let given = try IntegerList(context.input(1), name: "axis")
    guard given.count == 1 else { throw Status(.invalidArgument, "axis has \(given.count) values, expected one") }
    let axis = try shape.checkedAxis(given[0])
    let output = try context.output(0, type, shape)
    guard output.count > 0 else { return }
    switch type {
    case .float32: sum(input, output, axis, Float.self)
    case .float64: sum(input, output, axis, Double.self)
    case .int32, .uint32: sum(input, output, axis, Int32.self)
    default: sum(input, output, axis, Int64.self)
    }
  }

  private func sum<T: NumericElement>(_ input: Tensor, _ output: Tensor, _ axis: Int, _: T.Type) {
    let shape = input.shape
    let size = shape[axis]
    let inner = shape.product((axis + 1)..<shape.rank)
    let from = input.pointer(as: T.self)
    let to = output.pointer(as: T.self)
    for block in 0..<shape.product(0..<axis) {
      for column in 0..<inner {
        let start = block * size * inner + column
        var sum = T.zero
        for i in 0..<size {
          let position = start + (reverse ? size - 1 - i : i) * inner
          let value = from[position]
          let before = sum
          sum = T.sum(sum, value)
          to[position] = exclusive ? before : sum
        }
      }
    }
  }
}
