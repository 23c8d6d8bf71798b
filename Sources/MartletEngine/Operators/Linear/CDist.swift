import MartletCore

/// `CDist` of the domain com.microsoft: distances between all rows of two matrices, `[m, k]` and `[n, k]` to `[m, n]`.
///
/// The metric is `sqeuclidean` or `euclidean`. Distances are |a|² + |b|² - 2ab, in the order of ONNX Runtime, although
/// that loses digits where rows are close: which of nearly equal neighbours comes first hangs on the last bit.
final class CDistOperator: Operator {
  private let type: ElementType
  private let isSquared: Bool
  /// What is multiplied with: the second matrix, transposed, when it does not depend on the rows.
  private let transposed: ConstantTensor?
  /// The sum of squares of each of its rows.
  private let knownSquares: ConstantTensor?

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(2...2, of: node)
    type = try context.type(0, of: node, among: ElementType.floats)
    _ = try context.type(1, of: node, among: [type])
    switch try node.text("metric", default: "sqeuclidean") {
    case "sqeuclidean": isSquared = true
    case "euclidean": isSquared = false
    case let metric:
      throw node.error(attribute: "metric", "is '\(metric)', expected 'sqeuclidean' or 'euclidean'")
    }
    if let matrix = context.constant(1), matrix.shape.rank == 2 {
      let shape = Shape(matrix.shape[1], matrix.shape[0])
      transposed = ConstantTensor(type, shape) { [type] (bytes: UnsafeMutableRawBufferPointer) in
        guard let start = bytes.baseAddress, bytes.count > 0 else { return }
        MatrixProduct.transpose(matrix.memory, start, type, rows: shape[1], columns: shape[0])
      }
      knownSquares = ConstantTensor(type, Shape(shape[1])) { [type] (bytes: UnsafeMutableRawBufferPointer) in
        guard let start = bytes.baseAddress, bytes.count > 0 else { return }
        if type == .float32 {
          Self.squares(matrix.pointer(as: Float.self), rows: shape[1], depth: shape[0], to: start)
        } else {
          Self.squares(matrix.pointer(as: Double.self), rows: shape[1], depth: shape[0], to: start)
        }
      }
    } else {
      transposed = nil
      knownSquares = nil
    }
  }

  func run(_ context: RunContext) throws(Status) {
    let a = context.input(0)
    let b = context.input(1)
    guard a.rank == 2, b.rank == 2, a.dim(1) == b.dim(1) else {
      throw Status(
        .invalidArgument, "shapes \(a.shape) and \(b.shape) are not those of two matrices with rows of one length")
    }
    let rows = a.dim(0)
    let depth = a.dim(1)
    let others = b.dim(0)
    let result = try context.output(0, type, Shape(rows, others))
    guard result.count > 0 else { return }
    var right = UnsafeRawPointer(transposed?.memory ?? b.bytes)
    if transposed == nil {
      let copy = UnsafeMutableRawPointer(context.temporary(b.byteCount, of: UInt8.self))
      MatrixProduct.transpose(right, copy, type, rows: others, columns: depth)
      right = UnsafeRawPointer(copy)
    }
    if type == .float32 {
      MatrixProduct.multiply(
        a.floats, right.assumingMemoryBound(to: Float.self), result.floats, rows: rows, depth: depth, columns: others,
        alpha: -2)
      finish(a, b, result, context, Float.self)
    } else {
      MatrixProduct.multiply(
        a.doubles, right.assumingMemoryBound(to: Double.self), result.doubles, rows: rows, depth: depth,
        columns: others, alpha: -2)
      finish(a, b, result, context, Double.self)
    }
  }

  /// Adds the squares of both rows to what the product has left in the result.
  @inline(__always)
  private func finish<T: FloatElement>(_ a: Tensor, _ b: Tensor, _ result: Tensor, _ context: RunContext, _: T.Type) {
    let depth = a.dim(1)
    let others = b.dim(0)
    let squares: UnsafePointer<T>
    if let knownSquares {
      squares = knownSquares.pointer(as: T.self)
    } else {
      let made = context.temporary(others, of: T.self)
      Self.squares(b.pointer(as: T.self), rows: others, depth: depth, to: UnsafeMutableRawPointer(made))
      squares = UnsafePointer(made)
    }
    for row in 0..<a.dim(0) {
      let own = Self.square(a.pointer(as: T.self) + row * depth, depth)
      let to = result.pointer(as: T.self) + row * others
      if isSquared {
        for other in 0..<others {
          let sum = to[other] + own + squares[other]
          to[other] = sum < 0 ? 0 : sum
        }
      } else {
        for other in 0..<others {
          let sum = to[other] + own + squares[other]
          to[other] = (sum < 0 ? 0 : sum).squareRoot()
        }
      }
    }
  }

  private static func squares<T: FloatElement>(
    _ matrix: UnsafePointer<T>, rows: Int, depth: Int, to target: UnsafeMutableRawPointer
  ) {
    let squares = target.assumingMemoryBound(to: T.self)
    for row in 0..<rows { squares[row] = square(matrix + row * depth, depth) }
  }

  /// The sum of a row's squares, in the lanes of 16 bytes in which ONNX Runtime adds them up: lanes of even and of odd
  /// groups apart, then those two, then the halves of a group, then what fills no group.
  private static func square<T: FloatElement>(_ row: UnsafePointer<T>, _ depth: Int) -> T {
    let lanes = 16 / MemoryLayout<T>.stride
    let grouped = depth / lanes * lanes
    let paired = depth / (2 * lanes) * (2 * lanes)
    var sums = InlineArray<4, T>(repeating: 0)
    for lane in 0..<min(lanes, grouped) {
      var even = row[lane] * row[lane]
      if grouped > lanes {
        var odd = row[lanes + lane] * row[lanes + lane]
        for start in stride(from: 2 * lanes, to: paired, by: 2 * lanes) {
          even += row[start + lane] * row[start + lane]
          odd += row[start + lanes + lane] * row[start + lanes + lane]
        }
        even += odd
        if grouped > paired { even += row[paired + lane] * row[paired + lane] }
      }
      sums[lane] = even
    }
    var sum = lanes == 4 ? (sums[0] + sums[2]) + (sums[1] + sums[3]) : sums[0] + sums[1]
    for k in grouped..<depth { sum += row[k] * row[k] }
    return sum
  }
}
