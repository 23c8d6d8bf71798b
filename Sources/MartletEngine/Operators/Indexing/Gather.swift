import MartletCore

/// `Gather`: the slices along an axis that indices name; a negative index counts from the end.
final class GatherOperator: Operator {
  private let type: ElementType
  private let axis: Int

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(2...2, of: node)
    type = try context.type(0, of: node, among: ElementType.allCases)
    _ = try context.type(1, of: node, among: [.int32, .int64])
    axis = try node.axis(default: 0)
  }

  func run(_ context: RunContext) throws(Status) {
    let data = context.input(0)
    let indices = context.input(1)
    let shape = data.shape
    let axis = try shape.checkedAxis(axis)
    var result = Shape()
    for i in 0..<axis { result.append(shape[i]) }
    for i in 0..<indices.rank { try result.checkedAppend(indices.dim(i)) }
    for i in (axis + 1)..<max(axis + 1, shape.rank) { try result.checkedAppend(shape[i]) }
    let size = shape[axis]
    let count = indices.count
    let output = try context.output(0, type, result)
    guard try context.accepts(indices, output, below: { _ in size }) else { return }
    let outer = shape.product(0..<axis)
    let inner = shape.product((axis + 1)..<shape.rank)
    switch type.byteWidth * inner {
    case 4: Self.pick(data, indices, output, outer, size, UInt32.self)
    case 8: Self.pick(data, indices, output, outer, size, UInt64.self)
    case 16: Self.pick(data, indices, output, outer, size, TextRef.self)
    case let bytes:
      var to = output.bytes
      for block in 0..<outer {
        let from = data.bytes + block * size * bytes
        for i in 0..<count {
          to.copyMemory(from: from + indices.checkedIndex(i, below: size) * bytes, byteCount: bytes)
          to += bytes
        }
      }
    }
  }

  /// Copies slices that are as large as a `T`.
  private static func pick<T: BitwiseCopyable>(
    _ data: Tensor, _ indices: Tensor, _ output: Tensor, _ outer: Int, _ size: Int, _: T.Type
  ) {
    let count = indices.count
    var to = output.bytes.assumingMemoryBound(to: T.self)
    for block in 0..<outer {
      let from = data.bytes.assumingMemoryBound(to: T.self) + block * size
      for i in 0..<count { to[i] = from[indices.checkedIndex(i, below: size)] }
      to += count
    }
  }
}

/// `GatherElements`: for every element of the indices, the element of the data whose position along the axis it names.
final class GatherElementsOperator: Operator {
  private let type: ElementType
  private let axis: Int

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(2...2, of: node)
    type = try context.type(0, of: node, among: ElementType.allCases)
    _ = try context.type(1, of: node, among: [.int32, .int64])
    axis = try node.axis(default: 0)
  }

  func run(_ context: RunContext) throws(Status) {
    let data = context.input(0)
    let indices = context.input(1)
    let shape = data.shape
    let wanted = indices.shape
    let axis = try shape.checkedAxis(axis)
    guard wanted.rank == shape.rank else {
      throw Status(.invalidArgument, "the indices have the shape \(wanted), the data \(shape)")
    }
    for i in 0..<shape.rank where i != axis && wanted[i] > shape[i] {
      throw Status(.invalidArgument, "the indices have the shape \(wanted), the data \(shape)")
    }
    let output = try context.output(0, type, wanted)
    guard try context.accepts(indices, output, below: { _ in shape[axis] }) else { return }
    switch type.byteWidth {
    case 1: Self.pick(data, indices, output, axis, UInt8.self)
    case 2: Self.pick(data, indices, output, axis, UInt16.self)
    case 4: Self.pick(data, indices, output, axis, UInt32.self)
    case 8: Self.pick(data, indices, output, axis, UInt64.self)
    default: Self.pick(data, indices, output, axis, TextRef.self)
    }
  }

  private static func pick<T: BitwiseCopyable>(
    _ data: Tensor, _ indices: Tensor, _ output: Tensor, _ axis: Int, _: T.Type
  ) {
    let wanted = output.shape
    let strides = data.shape.strides
    let size = data.dim(axis)
    let along = strides[axis]
    let from = data.pointer(as: T.self)
    let to = output.pointer(as: T.self)
    var counters = InlineArray<8, Int>(repeating: 0)
    // Offset of the data's element at the counters, with 0 for the axis.
    var offset = 0
    for i in 0..<output.count {
      to[i] = from[offset + indices.checkedIndex(i, below: size) * along]
      var d = wanted.rank - 1
      while d >= 0 {
        counters[d] += 1
        if d != axis { offset += strides[d] }
        if counters[d] < wanted[d] { break }
        if d != axis { offset -= strides[d] * wanted[d] }
        counters[d] = 0
        d -= 1
      }
    }
  }
}

/// `GatherND`: the slices that index tuples, along the last axis of the indices, name.
final class GatherNDOperator: Operator {
  private let type: ElementType
  private let batchDimensions: Int

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(2...2, of: node)
    type = try context.type(0, of: node, among: ElementType.allCases)
    _ = try context.type(1, of: node, among: [.int64])
    batchDimensions = node.opset >= 12 ? try node.axis("batch_dims", default: 0) : 0
    guard batchDimensions >= 0 else { throw node.error(attribute: "batch_dims", "is negative") }
  }

  func run(_ context: RunContext) throws(Status) {
    let data = context.input(0)
    let indices = context.input(1)
    let shape = data.shape
    let wanted = indices.shape
    guard shape.rank > batchDimensions, wanted.rank > batchDimensions else { throw Self.mismatch(shape, wanted) }
    let tuple = wanted.last
    guard tuple >= 1, tuple <= shape.rank - batchDimensions else { throw Self.mismatch(shape, wanted) }
    for i in 0..<batchDimensions where shape[i] != wanted[i] { throw Self.mismatch(shape, wanted) }
    var result = Shape()
    for i in 0..<(wanted.rank - 1) { result.append(wanted[i]) }
    let first = batchDimensions + tuple
    for i in first..<max(first, shape.rank) { try result.checkedAppend(shape[i]) }
    let strides = shape.strides
    let bytes = shape.product(first..<shape.rank) * type.byteWidth
    let batches = wanted.product(0..<batchDimensions)
    let batchElements = shape.product(batchDimensions..<shape.rank)
    let tuples = wanted.product(batchDimensions..<(wanted.rank - 1))
    let output = try context.output(0, type, result)
    guard try context.accepts(indices, output, below: { shape[batchDimensions + $0 % tuple] }) else { return }
    guard output.count > 0 else { return }
    var to = output.bytes
    for batch in 0..<batches {
      for row in 0..<tuples {
        var offset = batch * batchElements
        for i in 0..<tuple {
          let axis = batchDimensions + i
          offset +=
            indices.checkedIndex((batch * tuples + row) * tuple + i, below: shape[axis]) * strides[axis]
        }
        to.copyMemory(from: data.bytes + offset * type.byteWidth, byteCount: bytes)
        to += bytes
      }
    }
  }

  private static func mismatch(_ data: Shape, _ indices: Shape) -> Status {
    Status(.invalidArgument, "indices of shape \(indices) do not fit data of shape \(data)")
  }
}

extension RunContext {
  /// Whether all of `indices` are positions in a dimension of the size that `size` gives for each.
  ///
  /// In the planning run, whose rows are made up, a wrong one makes the answer false and `output` empty: zeros.
  /// Errors: INVALID_ARGUMENT for an index that is not in `-size..<size`.
  @inline(__always)
  func accepts(_ indices: Tensor, _ output: Tensor, below size: (Int) -> Int) throws(Status) -> Bool {
    for i in 0..<indices.count {
      let value = indices.index(i)
      let size = size(i)
      guard value < -size || value >= size else { continue }
      guard isPlanning else { throw Status(.invalidArgument, "index \(value) is not in -\(size)..<\(size)") }
      output.bytes.initializeMemory(as: UInt8.self, repeating: 0, count: output.byteCount)
      return false
    }
    return true
  }
}

extension Tensor {
  /// Element `i` of an int32 or int64 tensor.
  @inline(__always)
  func index(_ i: Int) -> Int {
    type == .int64 ? Int(integers[i]) : Int(pointer(as: Int32.self)[i])
  }

  /// Element `i`, which `accepts` has found to be right, counted from the front.
  @inline(__always)
  func checkedIndex(_ i: Int, below size: Int) -> Int {
    let value = index(i)
    return value < 0 ? value + size : value
  }
}
