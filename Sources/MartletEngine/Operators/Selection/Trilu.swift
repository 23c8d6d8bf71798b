import MartletCore

/// `Trilu`: the upper or the lower triangle of the last two dimensions, zero elsewhere.
///
/// `k` moves the diagonal that belongs to the triangle: up when positive, down when negative.
final class TriluOperator: Operator {
  private let type: ElementType
  private let upper: Bool

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(1...2, of: node)
    type = try context.type(0, of: node, among: ElementType.numbers + [.bool])
    if context.hasInput(1) { _ = try context.type(1, of: node, among: [.int64]) }
    upper = try node.flag("upper", default: true)
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    let shape = input.shape
    guard shape.rank >= 2 else {
      throw Status(.invalidArgument, "the input has the shape \(shape), expected matrices")
    }
    var diagonal = 0
    if let given = context.optionalInput(1) {
      guard given.count == 1 else {
        throw Status(.invalidArgument, "k has the shape \(given.shape), expected a scalar")
      }
      // Beyond the largest dimension a diagonal is outside of every matrix.
      diagonal = Int(min(max(given.integers[0], -Int64(Shape.maximumSize)), Int64(Shape.maximumSize)))
    }
    let output = try context.output(0, type, shape)
    let rows = shape[shape.rank - 2]
    let columns = shape.last
    let width = type.byteWidth
    output.bytes.initializeMemory(as: UInt8.self, repeating: 0, count: output.byteCount)
    for matrix in 0..<shape.product(0..<(shape.rank - 2)) {
      for row in 0..<rows {
        let border = min(max(row + diagonal + (upper ? 0 : 1), 0), columns)
        let kept = upper ? border..<columns : 0..<border
        let start = ((matrix * rows + row) * columns + kept.lowerBound) * width
        (output.bytes + start).copyMemory(from: input.bytes + start, byteCount: kept.count * width)
      }
    }
  }
}
