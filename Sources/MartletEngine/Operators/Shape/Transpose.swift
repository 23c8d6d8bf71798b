import MartletCore

/// `Transpose`: dimensions in another order, reversed without `perm`.
final class TransposeOperator: Operator {
  private let type: ElementType
  private let permutation: IntegerList?

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(1...1, of: node)
    type = try context.type(0, of: node, among: ElementType.allCases)
    permutation = try IntegerList(node, attribute: "perm")
    if let permutation {
      var seen: UInt32 = 0
      for i in 0..<permutation.count {
        guard (0..<permutation.count).contains(permutation[i]), seen & (1 << UInt32(permutation[i])) == 0 else {
          throw node.error(attribute: "perm", "is \(permutation), which is not an order of axes")
        }
        seen |= 1 << UInt32(permutation[i])
      }
    }
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    let shape = input.shape
    if let permutation, permutation.count != shape.rank {
      throw Status(.invalidArgument, "perm has \(permutation.count) axes, the input has the shape \(shape)")
    }
    let strides = shape.strides
    var result = Shape()
    for i in 0..<shape.rank { result.append(shape[permutation?[i] ?? shape.rank - 1 - i]) }
    let resultStrides = result.strides
    var copy = StridedCopy()
    for i in 0..<shape.rank {
      copy.append(
        size: result[i], source: strides[permutation?[i] ?? shape.rank - 1 - i], target: resultStrides[i])
    }
    let output = try context.output(0, type, result)
    copy.run(from: input.bytes, to: output.bytes, width: type.byteWidth)
  }
}
