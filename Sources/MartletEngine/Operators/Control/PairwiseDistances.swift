import CKernels
import MartletCore

/// The squared Euclidean distances that converters write as a `Scan` over known rows: for each of them, `Sub` from all
/// rows that are asked about and `ReduceSumSquare`.
///
/// A sum runs over the columns in their order, as ONNX Runtime's does, so that of equally near rows the same one comes
/// first. Lanes are known rows when few are asked about, and otherwise the asked ones: the bits are the same.
struct PairwiseDistances: Sendable {
  private let type: ElementType
  /// The known rows side by side, `[columns, known]`, when they do not depend on the rows asked about.
  private let known: ConstantTensor?

  /// From how many rows on they fill the lanes.
  private static let manyRows = 16

  /// Nil when the body is something else.
  init?(_ graph: Graph, _ context: PlanningContext) {
    guard graph.inputs.count == 2, graph.outputs.count == 2, let type = context.type(0), type == context.type(1),
      ElementType.floats.contains(type)
    else { return nil }
    var producers: [String: GraphNode] = [:]
    for node in graph.nodes { for output in node.outputs { producers[output] = node } }
    /// The name of what an `Identity` passes on.
    func origin(_ name: String) -> String {
      var name = name
      var hops = 0
      while let node = producers[name], node.opType == "Identity", hops < graph.nodes.count {
        name = node.inputs[0]
        hops += 1
      }
      return name
    }
    guard origin(graph.outputs[0].name) == graph.inputs[0].name,
      let sum = producers[origin(graph.outputs[1].name)], sum.opType == "ReduceSumSquare",
      Self.sumsLastAxis(sum, graph, producers),
      let difference = producers[origin(sum.inputs[0])], difference.opType == "Sub", difference.inputs.count == 2,
      origin(difference.inputs[0]) == graph.inputs[0].name, origin(difference.inputs[1]) == graph.inputs[1].name
    else { return nil }
    self.type = type
    guard let matrix = context.constant(1), matrix.shape.rank == 2, matrix.count > 0 else {
      known = nil
      return
    }
    let shape = Shape(matrix.shape[1], matrix.shape[0])
    known = ConstantTensor(type, shape) { (bytes: UnsafeMutableRawBufferPointer) in
      guard let start = bytes.baseAddress else { return }
      MatrixProduct.transpose(matrix.memory, start, type, rows: shape[1], columns: shape[0])
    }
  }

  /// Whether `node` sums along axis 1 and drops it.
  private static func sumsLastAxis(_ node: GraphNode, _ graph: Graph, _ producers: [String: GraphNode]) -> Bool {
    guard case .integer(0)? = node.attributes["keepdims"] else { return false }
    if case .integers(let axes)? = node.attributes["axes"] { return axes == [1] }
    guard node.inputs.count == 2 else { return false }
    if let axes = graph.initializers[node.inputs[1]] { return axes.integers == [1] }
    guard let producer = producers[node.inputs[1]], producer.opType == "Constant",
      case .tensor(let axes)? = producer.attributes["value"]
    else { return false }
    return axes.integers == [1]
  }

  /// Writes both outputs of the `Scan`; false, and nothing written, for shapes that are not those of two matrices.
  func run(_ context: RunContext) throws(Status) -> Bool {
    let asked = context.input(0)
    let others = context.input(1)
    guard asked.rank == 2, others.rank == 2, asked.dim(1) == others.dim(1), others.dim(0) > 0 else { return false }
    let rows = asked.dim(0)
    let count = others.dim(0)
    let depth = asked.dim(1)
    if context.wants(0) { context.output(0, viewing: asked, asked.shape) }
    guard context.wants(1) else { return true }
    let result = try context.output(1, type, Shape(count, rows))
    if let known, rows < Self.manyRows {
      measure(known.memory, asked.bytes, result, (count, rows, depth), steps: (rows, 1))
    } else {
      let columns = UnsafeMutableRawPointer(context.temporary(max(1, asked.byteCount), of: UInt8.self))
      MatrixProduct.transpose(asked.bytes, columns, type, rows: rows, columns: depth)
      measure(columns, others.bytes, result, (rows, count, depth), steps: (1, rows))
    }
    return true
  }

  private func measure(
    _ a: UnsafeRawPointer, _ b: UnsafeRawPointer, _ result: Tensor, _ sizes: (columns: Int, rows: Int, depth: Int),
    steps: (column: Int, row: Int)
  ) {
    if type == .float32 {
      martlet_distances_float(
        a.assumingMemoryBound(to: Float.self), b.assumingMemoryBound(to: Float.self), result.floats, sizes.columns,
        sizes.rows, sizes.depth, steps.column, steps.row)
    } else {
      martlet_distances_double(
        a.assumingMemoryBound(to: Double.self), b.assumingMemoryBound(to: Double.self), result.doubles, sizes.columns,
        sizes.rows, sizes.depth, steps.column, steps.row)
    }
  }
}
