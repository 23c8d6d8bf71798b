import MartletCore

/// `CDist` of the domain com.microsoft: distances between all rows of two matrices, `[m, k]` and `[n, k]` to `[m, n]`.
///
/// The metric is `sqeuclidean` or `euclidean`. Differences are summed in 64 bits, without the loss of subtracting
/// nearly equal squares that ONNX Runtime's way by a matrix product has.
final class CDistOperator: Operator {
  private let type: ElementType
  private let isSquared: Bool

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
  }

  func run(_ context: RunContext) throws(Status) {
    let a = context.input(0)
    let b = context.input(1)
    guard a.rank == 2, b.rank == 2, a.dim(1) == b.dim(1) else {
      throw Status(
        .invalidArgument, "shapes \(a.shape) and \(b.shape) are not those of two matrices with rows of one length")
    }
    let result = try context.output(0, type, Shape(a.dim(0), b.dim(0)))
    if type == .float32 {
      measure(a, b, result, Float.self)
    } else {
      measure(a, b, result, Double.self)
    }
  }

  private func measure<T: FloatElement>(_ a: Tensor, _ b: Tensor, _ result: Tensor, _: T.Type) {
    let depth = a.dim(1)
    let others = b.dim(0)
    let to = result.pointer(as: T.self)
    for row in 0..<a.dim(0) {
      let x = a.pointer(as: T.self) + row * depth
      for other in 0..<others {
        let y = b.pointer(as: T.self) + other * depth
        var sum = 0.0
        for k in 0..<depth {
          let difference = x[k].asDouble - y[k].asDouble
          sum += difference * difference
        }
        to[row * others + other] = T(converting: isSquared ? sum : sum.squareRoot())
      }
    }
  }
}
