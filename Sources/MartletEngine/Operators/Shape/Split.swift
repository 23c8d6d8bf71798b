import MartletCore

/// `Split`: parts along one axis, of given sizes or of equal ones.
///
/// Sizes are an attribute up to version 12 and an input from then on; from version 18 the last of equal parts may be
/// smaller.
final class SplitOperator: Operator {
  private let type: ElementType
  private let axis: Int
  private let sizes: [Int]?
  /// Whether the sizes are an input that depends on the rows.
  private let readsSizes: Bool
  private let parts: Int
  private let mayBeUneven: Bool

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(1...(node.opset < 13 ? 1 : 2), of: node)
    type = try context.type(0, of: node, among: ElementType.allCases)
    axis = try node.axis(default: 0)
    parts = context.outputCount
    mayBeUneven = node.opset >= 18
    if node.opset < 13 {
      sizes = try node.integers("split").map { $0.map(Int.init) }
    } else if context.hasInput(1) {
      _ = try context.type(1, of: node, among: [.int64])
      sizes = context.constant(1)?.integers.map { $0.map { Int($0) } }
    } else {
      sizes = nil
    }
    readsSizes = node.opset >= 13 && context.hasInput(1) && sizes == nil
    if let count = try node.integer("num_outputs"), count != Int64(parts) {
      throw node.error(attribute: "num_outputs", "is \(count), the node has \(parts) outputs")
    }
    if let sizes, sizes.count != parts || sizes.contains(where: { $0 < 0 }) {
      throw node.error("splits into \(sizes), the node has \(parts) outputs")
    }
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    let shape = input.shape
    let axis = try shape.checkedAxis(axis)
    let size = shape[axis]
    let equal = (size + parts - 1) / parts
    if readsSizes, context.input(1).rank != 1 || context.input(1).count != parts {
      throw Status(.invalidArgument, "the sizes have the shape \(context.input(1).shape), expected \(parts) numbers")
    }
    func sizeOfPart(_ part: Int) -> Int? {
      readsSizes ? Int(context.input(1).integers[part]) : sizes?[part]
    }
    if sizes != nil || readsSizes {
      var sum = 0
      for index in 0..<parts {
        let part = sizeOfPart(index) ?? 0
        guard part >= 0 else { throw Status(.invalidArgument, "part \(index) has \(part) elements") }
        sum = sum.addingReportingOverflow(part).overflow ? Int.max : sum + part
      }
      guard sum == size else {
        throw Status(.invalidArgument, "the parts have \(sum) elements of axis \(axis), which has size \(size)")
      }
    } else {
      guard size % parts == 0 || (mayBeUneven && equal * (parts - 1) <= size) else {
        throw Status(.invalidArgument, "axis \(axis) of size \(size) cannot be split into \(parts) parts")
      }
    }
    let outer = shape.product(0..<axis)
    let inner = shape.product((axis + 1)..<shape.rank)
    var start = 0
    for part in 0..<parts {
      let length = sizeOfPart(part) ?? min(equal, size - start)
      defer { start += length }
      guard context.wants(part) else { continue }
      var partShape = shape
      partShape[axis] = length
      let result = try context.output(part, type, partShape)
      var copy = StridedCopy()
      copy.append(size: outer, source: size * inner, target: length * inner)
      copy.append(size: length * inner, source: 1, target: 1)
      copy.run(from: input.bytes + start * inner * type.byteWidth, to: result.bytes, width: type.byteWidth)
    }
  }
}
