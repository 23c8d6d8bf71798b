import MartletCore

/// `Concat`: tensors behind each other along one axis.
final class ConcatOperator: Operator {
  private let type: ElementType
  private let axis: Int

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    guard context.inputCount > 0 else { throw node.error("has no inputs, expected at least 1") }
    type = try context.type(0, of: node, among: ElementType.allCases)
    for index in 1..<max(1, context.inputCount) { _ = try context.type(index, of: node, among: [type]) }
    guard node.attributes["axis"] != nil else { throw node.error(attribute: "axis", "is missing") }
    axis = try node.axis(default: 0)
  }

  func run(_ context: RunContext) throws(Status) {
    var shape = context.input(0).shape
    let axis = try shape.checkedAxis(axis)
    for index in 1..<context.inputCount {
      let other = context.input(index).shape
      guard other.rank == shape.rank else { throw Self.mismatch(shape, other, axis) }
      for i in 0..<shape.rank where i != axis && other[i] != shape[i] { throw Self.mismatch(shape, other, axis) }
      shape[axis] += other[axis]
    }
    let result = try context.output(0, type, shape)
    let outer = shape.product(0..<axis)
    let inner = shape.product((axis + 1)..<shape.rank)
    let stride = shape[axis] * inner
    var start = 0
    for index in 0..<context.inputCount {
      let input = context.input(index)
      let block = input.dim(axis) * inner
      var copy = StridedCopy()
      copy.append(size: outer, source: block, target: stride)
      copy.append(size: block, source: 1, target: 1)
      copy.run(from: input.bytes, to: result.bytes + start * type.byteWidth, width: type.byteWidth)
      start += block
    }
  }

  private static func mismatch(_ a: Shape, _ b: Shape, _ axis: Int) -> Status {
    Status(.invalidArgument, "shapes \(a) and \(b) differ in more than axis \(axis)")
  }
}
