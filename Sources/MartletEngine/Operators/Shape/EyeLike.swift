import MartletCore

/// `EyeLike`: a matrix of the input's shape with ones on a diagonal and zeros elsewhere.
final class EyeLikeOperator: Operator {
  private let type: ElementType
  private let diagonal: Int64

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(1...1, of: node)
    let own = try context.type(0, of: node, among: ElementType.numbers + [.bool])
    diagonal = try node.integer("k", default: 0)
    guard let code = try node.integer("dtype") else {
      type = own
      return
    }
    guard let type = ElementType(onnx: code), ElementType.numbers.contains(type) || type == .bool else {
      throw node.error(attribute: "dtype", "is \(code), expected a type of numbers")
    }
    self.type = type
  }

  func run(_ context: RunContext) throws(Status) {
    let shape = context.input(0).shape
    guard shape.rank == 2 else { throw Status(.invalidArgument, "the shape \(shape) is not that of a matrix") }
    let output = try context.output(0, type, shape)
    output.bytes.initializeMemory(as: UInt8.self, repeating: 0, count: output.byteCount)
    guard diagonal > -Int64(Shape.maximumSize), diagonal < Int64(Shape.maximumSize) else { return }
    let width = type.byteWidth
    var one: Double = 1
    for row in 0..<shape[0] {
      let column = row + Int(diagonal)
      guard column >= 0, column < shape[1] else { continue }
      ElementConversion.convert(
        &one, .float64, to: output.bytes + (row * shape[1] + column) * width, type, count: 1)
    }
  }
}
