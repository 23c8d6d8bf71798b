import MartletCore

/// `MatMul`: matrix products of the last two dimensions, the others broadcast, as numpy's `matmul` has it.
final class MatMulOperator: Operator {
  private let type: ElementType

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(2...2, of: node)
    type = try context.type(0, of: node, among: [.float32, .float64, .int32, .int64, .uint32, .uint64])
    _ = try context.type(1, of: node, among: [type])
  }

  func run(_ context: RunContext) throws(Status) {
    let a = context.input(0)
    let b = context.input(1)
    guard a.rank > 0, b.rank > 0 else {
      throw Status(.invalidArgument, "shapes \(a.shape) and \(b.shape) have no matrix product: one is a scalar")
    }
    // A vector is a matrix of one row on the left, of one column on the right.
    let depth = a.shape.last
    let rows = a.rank == 1 ? 1 : a.dim(a.rank - 2)
    let columns = b.rank == 1 ? 1 : b.shape.last
    let inner = b.rank == 1 ? b.dim(0) : b.dim(b.rank - 2)
    guard depth == inner else {
      throw Status(
        .invalidArgument, "shapes \(a.shape) and \(b.shape) have no matrix product: \(depth) and \(inner) differ")
    }
    let batchA = a.shape.prefix(max(0, a.rank - 2))
    let batchB = b.shape.prefix(max(0, b.rank - 2))
    let broadcast = try Broadcast(batchA, batchB)
    var shape = broadcast.shape
    if a.rank > 1 { shape.append(rows) }
    if b.rank > 1 { shape.append(columns) }
    let result = try context.output(0, type, shape)
    guard result.count > 0 else { return }
    if batchB.elements == 1 {
      // All matrices on the left share the right one: they are one tall matrix.
      return multiply(a, 0, b, 0, result, 0, rows: batchA.elements * rows, depth: depth, columns: columns)
    }
    let step = broadcast.step
    broadcast.forEachRun { count, start, operands in
      for i in 0..<count {
        multiply(
          a, (operands.a + i * step.a) * rows * depth, b, (operands.b + i * step.b) * depth * columns, result,
          (start + i) * rows * columns, rows: rows, depth: depth, columns: columns)
      }
    }
  }

  /// Multiplies the matrices that begin at the given elements.
  private func multiply(
    _ a: Tensor, _ startA: Int, _ b: Tensor, _ startB: Int, _ c: Tensor, _ startC: Int, rows: Int, depth: Int,
    columns: Int
  ) {
    switch type {
    case .float32:
      MatrixProduct.multiply(
        a.floats + startA, b.floats + startB, c.floats + startC, rows: rows, depth: depth, columns: columns)
    case .float64:
      MatrixProduct.multiply(
        a.doubles + startA, b.doubles + startB, c.doubles + startC, rows: rows, depth: depth, columns: columns)
    case .int32, .uint32:
      MatrixProduct.multiply(
        a.pointer(as: Int32.self) + startA, b.pointer(as: Int32.self) + startB, c.pointer(as: Int32.self) + startC,
        rows: rows, depth: depth, columns: columns)
    default:
      MatrixProduct.multiply(
        a.pointer(as: Int64.self) + startA, b.pointer(as: Int64.self) + startB, c.pointer(as: Int64.self) + startC,
        rows: rows, depth: depth, columns: columns)
    }
  }
}

extension Shape {
  /// The first `count` dimensions.
  func prefix(_ count: Int) -> Shape {
    var shape = Shape()
    for i in 0..<count { shape.append(self[i]) }
    return shape
  }
}
