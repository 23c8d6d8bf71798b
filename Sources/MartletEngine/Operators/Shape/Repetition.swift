import MartletCore

/// `Expand`: the input broadcast against a shape.
final class ExpandOperator: Operator {
  private let type: ElementType

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(2...2, of: node)
    type = try context.type(0, of: node, among: ElementType.allCases)
    _ = try context.type(1, of: node, among: [.int64])
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    let wanted = try IntegerList(context.input(1), name: "shape")
    var shape = Shape()
    for i in 0..<wanted.count {
      guard wanted[i] >= 0 else { throw Status(.invalidArgument, "shape has a dimension of \(wanted[i])") }
      try shape.checkedAppend(wanted[i])
    }
    shape = try Broadcast(input.shape, shape).shape
    try context.output(0, input.type, shape).fill(broadcasting: input)
  }
}

/// `Tile`: the input repeated along every axis.
final class TileOperator: Operator {
  private let type: ElementType

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(2...2, of: node)
    type = try context.type(0, of: node, among: ElementType.allCases)
    _ = try context.type(1, of: node, among: [.int64])
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    let shape = input.shape
    let repeats = try IntegerList(context.input(1), name: "repeats")
    guard repeats.count == shape.rank else {
      throw Status(.invalidArgument, "repeats has \(repeats.count) values for the shape \(shape)")
    }
    var result = Shape()
    for i in 0..<shape.rank {
      let (size, overflow) = shape[i].multipliedReportingOverflow(by: repeats[i])
      guard repeats[i] >= 0, !overflow else {
        throw Status(.invalidArgument, "repeats \(repeats) of the shape \(shape) are not possible")
      }
      result.append(size)
    }
    let output = try context.output(0, type, result)
    let from = shape.strides
    let to = result.strides
    var copy = StridedCopy()
    for i in 0..<shape.rank {
      copy.append(size: repeats[i], source: 0, target: shape[i] * to[i])
      copy.append(size: shape[i], source: from[i], target: to[i])
    }
    copy.run(from: input.bytes, to: output.bytes, width: type.byteWidth)
  }
}
