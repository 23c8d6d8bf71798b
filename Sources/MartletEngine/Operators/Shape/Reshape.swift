import MartletCore

/// `Identity`: the input as it is.
final class IdentityOperator: Operator {
  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(1...1, of: node)
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    context.output(0, viewing: input, input.shape)
  }
}

/// `Reshape`: the same elements under other dimensions; 0 keeps a dimension unless `allowzero`, -1 is what is left.
final class ReshapeOperator: Operator {
  private let allowZero: Bool

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(2...2, of: node)
    _ = try context.type(1, of: node, among: [.int64])
    allowZero = node.opset >= 14 ? try node.flag("allowzero", default: false) : false
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    let wanted = try IntegerList(context.input(1), name: "shape")
    let shape = try resolve(wanted, of: input.shape)
    context.output(0, viewing: input, shape)
  }

  private func resolve(_ wanted: IntegerList, of input: Shape) throws(Status) -> Shape {
    var shape = Shape()
    var open: Int?
    for i in 0..<wanted.count {
      let size = wanted[i]
      if size == -1 {
        guard open == nil else { throw Status(.invalidArgument, "shape has -1 more than once") }
        open = i
        try shape.checkedAppend(1)
      } else if size == 0, !allowZero {
        guard i < input.rank else {
          throw Status(.invalidArgument, "shape keeps dimension \(i) of the input, whose shape is \(input)")
        }
        try shape.checkedAppend(input[i])
      } else {
        guard size >= 0 else { throw Status(.invalidArgument, "shape has a dimension of \(size)") }
        try shape.checkedAppend(size)
      }
    }
    if let open {
      let known = shape.checkedElements ?? 0
      if known > 0, input.elements % known == 0 {
        shape[open] = input.elements / known
      } else if known == 0, input.elements == 0 {
        // No element says how large the open dimension is; for a batch without rows it is what the other dimensions
        // leave, so that the shape is that of a batch with rows.
        let rest = input.nonzeroProduct / max(1, shape.nonzeroProduct)
        shape[open] = max(1, rest)
      }
    }
    guard shape.checkedElements == input.elements else {
      throw Status(
        .invalidArgument, "\(input.elements) elements of shape \(input) do not fit the shape \(wanted.description)")
    }
    return shape
  }
}

/// `Flatten`: a matrix whose rows are the dimensions before `axis`.
final class FlattenOperator: Operator {
  private let axis: Int

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(1...1, of: node)
    axis = try node.axis(default: 1)
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    let shape = input.shape
    // The last axis may be the one behind all dimensions.
    let split = axis < 0 ? axis + shape.rank : axis
    guard split >= 0, split <= shape.rank else {
      throw Status(.invalidArgument, "axis \(axis) does not split the shape \(shape)")
    }
    context.output(
      0, viewing: input, Shape(shape.product(0..<split), shape.product(split..<shape.rank)))
  }
}

/// `Squeeze`: without the named dimensions, which have size 1, or without all of those.
final class SqueezeOperator: Operator {
  private let axes: IntegerSource

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(1...(node.opset < 13 ? 1 : 2), of: node)
    axes = try IntegerSource(node, "axes", attributeUpTo: 12, input: 1)
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    let shape = input.shape
    var set: UInt8 = 0
    if let list = try axes.read(context) {
      set = try shape.checkedAxes(list)
    } else {
      for i in 0..<shape.rank where shape[i] == 1 { set |= 1 << UInt8(i) }
    }
    var result = Shape()
    for i in 0..<shape.rank {
      if set & (1 << UInt8(i)) == 0 {
        result.append(shape[i])
      } else {
        guard shape[i] == 1 else {
          throw Status(.invalidArgument, "axis \(i) of the shape \(shape) has size \(shape[i]), expected 1")
        }
      }
    }
    context.output(0, viewing: input, result)
  }
}

/// `Unsqueeze`: with dimensions of size 1 at the named places of the result.
final class UnsqueezeOperator: Operator {
  private let axes: IntegerSource

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(node.opset < 13 ? 1...1 : 2...2, of: node)
    axes = try IntegerSource(node, "axes", attributeUpTo: 12, input: 1)
    if node.opset < 13, node.attributes["axes"] == nil { throw node.error(attribute: "axes", "is missing") }
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    let shape = input.shape
    guard let list = try axes.read(context) else { throw Status(.invalidArgument, "axes is missing") }
    let rank = shape.rank + list.count
    guard rank <= Shape.maximumRank else {
      throw Status(.invalidArgument, "the result would have \(rank) dimensions, at most 8 are possible")
    }
    var result = Shape()
    for _ in 0..<rank { result.append(1) }
    let set = try result.checkedAxes(list)
    var next = 0
    for i in 0..<rank where set & (1 << UInt8(i)) == 0 {
      result[i] = shape[next]
      next += 1
    }
    context.output(0, viewing: input, result)
  }
}

extension Shape {
  /// Product of the dimensions that are not 0.
  fileprivate var nonzeroProduct: Int {
    var product = 1
    for i in 0..<rank where self[i] > 0 { product &*= self[i] }
    return product
  }
}

extension IntegerList: CustomStringConvertible {
  var description: String { "[" + (0..<count).map { "\(self[$0])" }.joined(separator: ", ") + "]" }
}
