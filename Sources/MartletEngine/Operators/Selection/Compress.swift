import MartletCore

/// `Compress`: the slices along an axis, or the elements without one, for which a vector of truth values holds.
final class CompressOperator: Operator {
  private let type: ElementType
  private let axis: Int?

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(2...2, of: node)
    type = try context.type(0, of: node, among: ElementType.allCases)
    _ = try context.type(1, of: node, among: [.bool])
    axis = node.attributes["axis"] == nil ? nil : try node.axis(default: 0)
  }

  func run(_ context: RunContext) throws(Status) {
    let data = context.input(0)
    let condition = context.input(1)
    guard condition.rank == 1 else {
      throw Status(.invalidArgument, "the condition has the shape \(condition.shape), expected a vector")
    }
    var shape = data.shape
    var outer = 1
    var size = data.count
    var inner = 1
    if let axis {
      let index = try shape.checkedAxis(axis)
      outer = shape.product(0..<index)
      size = shape[index]
      inner = shape.product((index + 1)..<shape.rank)
    }
    // A condition longer than the axis says nothing about what is not there.
    let tested = min(size, condition.count)
    var kept = 0
    for i in 0..<tested where condition.bools[i] != 0 { kept += 1 }
    if let axis { shape[try shape.checkedAxis(axis)] = kept } else { shape = Shape(kept) }
    let result = try context.output(0, type, shape)
    let bytes = inner * type.byteWidth
    var to = result.bytes
    for block in 0..<outer {
      for i in 0..<tested where condition.bools[i] != 0 {
        to.copyMemory(from: data.bytes + (block * size + i) * bytes, byteCount: bytes)
        to += bytes
      }
    }
  }
}
