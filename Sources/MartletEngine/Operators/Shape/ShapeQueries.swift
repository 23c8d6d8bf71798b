import MartletCore

/// `Shape`: the input's dimensions from `start` to `end` as a vector.
final class ShapeOperator: Operator {
  private let start: Int64
  private let end: Int64?

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(1...1, of: node)
    start = node.opset >= 15 ? try node.integer("start", default: 0) : 0
    end = node.opset >= 15 ? try node.integer("end") : nil
  }

  func run(_ context: RunContext) throws(Status) {
    let shape = context.input(0).shape
    let first = Self.clamp(start, shape.rank)
    let last = max(first, end.map { Self.clamp($0, shape.rank) } ?? shape.rank)
    let result = try context.output(0, .int64, Shape(last - first))
    for i in first..<last { result.integers[i - first] = Int64(shape[i]) }
  }

  private static func clamp(_ index: Int64, _ rank: Int) -> Int {
    let position = index < 0 ? index &+ Int64(rank) : index
    return Int(min(max(0, position), Int64(rank)))
  }
}

/// `Size`: the number of elements as a scalar.
final class SizeOperator: Operator {
  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(1...1, of: node)
  }

  func run(_ context: RunContext) throws(Status) {
    try context.output(0, .int64, Shape()).integers[0] = Int64(context.input(0).count)
  }
}
