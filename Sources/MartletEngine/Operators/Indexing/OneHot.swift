import MartletCore

/// `OneHot`: a new axis of `depth` elements, off everywhere but at the position that each index names.
///
/// A negative index counts from the end; one out of range turns nothing on. Indices that are real numbers are
/// truncated.
final class OneHotOperator: Operator {
  private let type: ElementType
  private let axis: Int

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(3...3, of: node)
    _ = try context.type(0, of: node, among: ElementType.numbers)
    _ = try context.type(1, of: node, among: ElementType.numbers)
    type = try context.type(2, of: node, among: ElementType.allCases)
    axis = try node.axis(default: -1)
  }

  func run(_ context: RunContext) throws(Status) {
    let indices = context.input(0)
    let given = context.input(1)
    let values = context.input(2)
    guard given.count == 1, values.count == 2 else {
      throw Status(
        .invalidArgument, "depth and values have the shapes \(given.shape) and \(values.shape), expected 1 and 2 values"
      )
    }
    let depth = Int64(converting: given.double(at: 0))
    guard depth > 0, depth <= Int64(RunContext.maximumElements) else {
      throw Status(.invalidArgument, "depth is \(depth), expected a positive number of classes")
    }
    var shape = indices.shape
    try shape.checkedAppend(1)
    let position = try shape.checkedAxis(axis)
    shape = indices.shape
    shape.insert(Int(depth), at: position)
    let output = try context.output(0, type, shape)
    let inner = shape.product((position + 1)..<shape.rank)
    let width = type.byteWidth
    var copy = StridedCopy()
    copy.append(size: output.count, source: 0, target: 1)
    copy.run(from: values.bytes, to: output.bytes, width: width)
    for i in 0..<indices.count {
      let index = Int64(converting: indices.double(at: i))
      let place = index < 0 ? index &+ depth : index
      guard place >= 0, place < depth else { continue }
      let target = (i / inner * Int(depth) + Int(place)) * inner + i % inner
      (output.bytes + target * width).copyMemory(from: values.bytes + width, byteCount: width)
    }
  }
}
