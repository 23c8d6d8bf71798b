import MartletCore

/// How an update meets what is there.
enum ScatterReduction: String, Sendable {
  case none, add, mul, min, max

  /// Combines `count` elements at `to` with those at `from`, for every type that can be combined so.
  static func kernel(_ reduction: ScatterReduction, _ type: ElementType) -> ScatterKernel? {
    if reduction == .none {
      let width = type.byteWidth
      return { to, from, count in to.copyMemory(from: from, byteCount: count * width) }
    }
    switch type {
    case .float32: return kernel(reduction, of: Float.self)
    case .float64: return kernel(reduction, of: Double.self)
    case .int64: return kernel(reduction, of: Int64.self)
    case .int32: return kernel(reduction, of: Int32.self)
    case .int16: return kernel(reduction, of: Int16.self)
    case .int8: return kernel(reduction, of: Int8.self)
    case .uint64: return kernel(reduction, of: UInt64.self)
    case .uint32: return kernel(reduction, of: UInt32.self)
    case .uint16: return kernel(reduction, of: UInt16.self)
    case .uint8: return kernel(reduction, of: UInt8.self)
    case .bool, .float16, .text: return nil
    }
  }

  private static func kernel<T: NumericElement>(_ reduction: ScatterReduction, of _: T.Type) -> ScatterKernel {
    { to, from, count in
      let a = to.assumingMemoryBound(to: T.self)
      let b = from.assumingMemoryBound(to: T.self)
      for i in 0..<count {
        switch reduction {
        case .none: a[i] = b[i]
        case .add: a[i] = T.sum(a[i], b[i])
        case .mul: a[i] = T.product(a[i], b[i])
        case .min: a[i] = Minimum.apply(a[i], b[i])
        case .max: a[i] = Maximum.apply(a[i], b[i])
        }
      }
    }
  }
}

typealias ScatterKernel = @Sendable (_ to: UnsafeMutableRawPointer, _ from: UnsafeRawPointer, _ count: Int) -> Void

extension GraphNode {
  /// The type of the data and how updates meet it.
  fileprivate func scatter(
    _ context: PlanningContext, indices: [ElementType]
  ) throws(ModelError) -> (type: ElementType, kernel: ScatterKernel) {
    try context.requireInputs(3...3, of: self)
    let type = try context.type(0, of: self, among: ElementType.allCases)
    _ = try context.type(1, of: self, among: indices)
    _ = try context.type(2, of: self, among: [type])
    let name = opset < 16 ? "none" : try text("reduction", default: "none")
    guard let reduction = ScatterReduction(rawValue: name) else {
      throw error(attribute: "reduction", "is '\(name)', expected none, add, mul, min or max")
    }
    guard let kernel = ScatterReduction.kernel(reduction, type) else {
      throw error(attribute: "reduction", "is '\(name)', which is not possible for elements of \(type)")
    }
    return (type, kernel)
  }
}

/// `ScatterElements`: a copy of the data in which every update goes to the position along the axis that its index names.
final class ScatterElementsOperator: Operator {
  private let type: ElementType
  private let axis: Int
  private let kernel: ScatterKernel

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    (type, kernel) = try node.scatter(context, indices: [.int32, .int64])
    axis = try node.axis(default: 0)
  }

  func run(_ context: RunContext) throws(Status) {
    let data = context.input(0)
    let indices = context.input(1)
    let updates = context.input(2)
    let shape = data.shape
    let axis = try shape.checkedAxis(axis)
    guard indices.shape == updates.shape, indices.rank == shape.rank else {
      throw Status(
        .invalidArgument,
        "the data has the shape \(shape), the indices \(indices.shape) and the updates \(updates.shape)")
    }
    for i in 0..<shape.rank where i != axis && indices.dim(i) > shape[i] {
      throw Status(.invalidArgument, "the indices have the shape \(indices.shape), the data \(shape)")
    }
    let output = try context.output(0, type, shape)
    output.bytes.copyMemory(from: data.bytes, byteCount: data.byteCount)
    guard try context.accepts(indices, output, below: { _ in shape[axis] }) else { return }
    let strides = shape.strides
    let width = type.byteWidth
    var counters = InlineArray<8, Int>(repeating: 0)
    for i in 0..<indices.count {
      var offset = indices.checkedIndex(i, below: shape[axis]) * strides[axis]
      for d in 0..<shape.rank where d != axis { offset += counters[d] * strides[d] }
      kernel(output.bytes + offset * width, updates.bytes + i * width, 1)
      var d = shape.rank - 1
      while d >= 0 {
        counters[d] += 1
        if counters[d] < indices.dim(d) { break }
        counters[d] = 0
        d -= 1
      }
    }
  }
}

/// `ScatterND`: a copy of the data in which every update goes to the slice that a tuple of indices names.
final class ScatterNDOperator: Operator {
  private let type: ElementType
  private let kernel: ScatterKernel

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    (type, kernel) = try node.scatter(context, indices: [.int64])
  }

  func run(_ context: RunContext) throws(Status) {
    let data = context.input(0)
    let indices = context.input(1)
    let updates = context.input(2)
    let shape = data.shape
    let tuple = indices.rank == 0 ? 0 : indices.shape.last
    let tuples = indices.rank == 0 ? 0 : indices.shape.product(0..<(indices.rank - 1))
    guard tuple >= 1, tuple <= shape.rank,
      updates.count == tuples * shape.product(tuple..<shape.rank)
    else {
      throw Status(
        .invalidArgument,
        "the data has the shape \(shape), the indices \(indices.shape) and the updates \(updates.shape)")
    }
    let output = try context.output(0, type, shape)
    output.bytes.copyMemory(from: data.bytes, byteCount: data.byteCount)
    guard try context.accepts(indices, output, below: { shape[$0 % tuple] }) else { return }
    let strides = shape.strides
    let slice = shape.product(tuple..<shape.rank)
    let width = type.byteWidth
    for row in 0..<tuples {
      var offset = 0
      for i in 0..<tuple { offset += indices.checkedIndex(row * tuple + i, below: shape[i]) * strides[i] }
      kernel(output.bytes + offset * width, updates.bytes + row * slice * width, slice)
    }
  }
}
