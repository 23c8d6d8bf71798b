import MartletCore

/// `NonZero`: the indices of the elements that are not zero, `[rank, found]`, in row-major order.
final class NonZeroOperator: Operator {
  private let type: ElementType

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(1...1, of: node)
    type = try context.type(0, of: node, among: ElementType.numbers + [.bool])
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    guard input.rank > 0 else { throw Status(.invalidArgument, "the input is a scalar, expected dimensions") }
    let shape = input.shape
    var found = 0
    for i in 0..<input.count where input.isNonzero(i) { found += 1 }
    let result = try context.output(0, .int64, Shape(shape.rank, found))
    let strides = shape.strides
    var column = 0
    for i in 0..<input.count where input.isNonzero(i) {
      for d in 0..<shape.rank {
        result.integers[d * found + column] = Int64(i / strides[d] % shape[d])
      }
      column += 1
    }
  }
}

extension Tensor {
  /// Whether element `index` of a tensor of numbers or truth values is not zero; what is not a number is not.
  fileprivate func isNonzero(_ index: Int) -> Bool {
    switch type {
    case .int64, .uint64: pointer(as: UInt64.self)[index] != 0
    default: double(at: index) != 0
    }
  }
}
