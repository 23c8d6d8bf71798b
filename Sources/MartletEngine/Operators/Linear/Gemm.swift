import MartletCore

/// `Gemm`: alpha times the product of two matrices, either of them transposed if asked, plus beta times a third,
/// which is broadcast.
///
/// A constant right matrix is transposed once, when the operator is made.
final class GemmOperator: Operator {
  private let type: ElementType
  private let alpha: Float
  private let beta: Float
  private let transposesLeft: Bool
  private let transposesRight: Bool
  /// The right matrix as it is multiplied, when it does not depend on the rows and is transposed.
  private let right: ConstantTensor?

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(node.opset < 11 ? 3...3 : 2...3, of: node)
    type = try context.type(0, of: node, among: ElementType.floats)
    _ = try context.type(1, of: node, among: [type])
    if context.hasInput(2) { _ = try context.type(2, of: node, among: [type]) }
    alpha = try node.float("alpha", default: 1)
    beta = try node.float("beta", default: 1)
    // Any value but 0 transposes.
    transposesLeft = try node.integer("transA", default: 0) != 0
    transposesRight = try node.integer("transB", default: 0) != 0
    if transposesRight, let matrix = context.constant(1), matrix.shape.rank == 2 {
      let transposed = Shape(matrix.shape[1], matrix.shape[0])
      right = ConstantTensor(type, transposed) { [type] (bytes: UnsafeMutableRawBufferPointer) in
        guard let start = bytes.baseAddress, bytes.count > 0 else { return }
        MatrixProduct.transpose(matrix.memory, start, type, rows: transposed[1], columns: transposed[0])
      }
    } else {
      right = nil
    }
  }

  func run(_ context: RunContext) throws(Status) {
    let a = context.input(0)
    let b = context.input(1)
    guard a.rank == 2, b.rank == 2 else {
      throw Status(.invalidArgument, "shapes \(a.shape) and \(b.shape) are not both those of matrices")
    }
    let rows = a.dim(transposesLeft ? 1 : 0)
    let depth = a.dim(transposesLeft ? 0 : 1)
    let columns = b.dim(transposesRight ? 0 : 1)
    guard b.dim(transposesRight ? 1 : 0) == depth else {
      throw Status(
        .invalidArgument,
        "the matrices \(a.shape)\(transposesLeft ? ", transposed," : "") and "
          + "\(b.shape)\(transposesRight ? ", transposed," : "") have no product")
    }
    let shape = Shape(rows, columns)
    let result = try context.output(0, type, shape)
    var left = UnsafeRawPointer(a.bytes)
    if transposesLeft {
      let transposed = context.temporary(a.byteCount, of: UInt8.self)
      MatrixProduct.transpose(left, UnsafeMutableRawPointer(transposed), type, rows: depth, columns: rows)
      left = UnsafeRawPointer(transposed)
    }
    var other = UnsafeRawPointer(right?.memory ?? b.bytes)
    if transposesRight, right == nil {
      let transposed = context.temporary(b.byteCount, of: UInt8.self)
      MatrixProduct.transpose(other, UnsafeMutableRawPointer(transposed), type, rows: columns, columns: depth)
      other = UnsafeRawPointer(transposed)
    }
    let addend = context.optionalInput(2)
    if let addend, try Broadcast(shape, addend.shape).shape != shape {
      throw Status(.invalidArgument, "input 2 has the shape \(addend.shape), the product \(shape)")
    }
    let adds = addend != nil && beta != 0
    if type == .float32 {
      if adds, let addend { try spread(addend, to: result, Float.self) }
      MatrixProduct.multiply(
        left.assumingMemoryBound(to: Float.self), other.assumingMemoryBound(to: Float.self), result.floats,
        rows: rows, depth: depth, columns: columns, alpha: alpha, accumulates: adds)
    } else {
      if adds, let addend { try spread(addend, to: result, Double.self) }
      MatrixProduct.multiply(
        left.assumingMemoryBound(to: Double.self), other.assumingMemoryBound(to: Double.self), result.doubles,
        rows: rows, depth: depth, columns: columns, alpha: Double(alpha), accumulates: adds)
    }
  }

  /// Fills the result with beta times the third matrix, to which the product is added.
  @inline(__always)
  private func spread<T: FloatElement>(_ addend: Tensor, to result: Tensor, _: T.Type) throws(Status) {
    let values = result.pointer(as: T.self)
    let factor = T(beta)
    let broadcast = try Broadcast(result.shape, addend.shape)
    broadcast.map(values, addend.pointer(as: T.self), to: values) { factor * $1 }
  }
}
