import MartletCore

/// `TopK`: the k greatest or least elements along an axis, in order, and their positions.
///
/// Of equal elements the one at the lower position comes first. What is not a number counts as greater than all
/// others, as in ONNX Runtime. k is an attribute up to version 9 and an input from then on. Unsorted results are
/// sorted as well.
final class TopKOperator: Operator {
  private let type: ElementType
  private let axis: Int
  private let attribute: Int64?
  private let greatest: Bool

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(node.opset < 10 ? 1...1 : 2...2, of: node)
    type = try context.type(0, of: node, among: ElementType.numbers)
    axis = try node.axis(default: -1)
    greatest = node.opset >= 11 ? try node.flag("largest", default: true) : true
    attribute = node.opset < 10 ? try node.required("k", try node.integer("k")) : nil
    if node.opset >= 10 { _ = try context.type(1, of: node, among: [.int64]) }
    guard context.outputCount == 2 else {
      throw node.error("has \(context.outputCount) outputs, expected values and indices")
    }
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    let shape = input.shape
    let axis = try shape.checkedAxis(axis)
    var k = attribute ?? 0
    if attribute == nil {
      let given = context.input(1)
      guard given.count == 1 else {
        throw Status(.invalidArgument, "k has the shape \(given.shape), expected one number")
      }
      k = given.integers[0]
    }
    guard k >= 0, k <= Int64(shape[axis]) else {
      throw Status(.invalidArgument, "k is \(k), axis \(axis) has \(shape[axis]) elements")
    }
    var result = shape
    result[axis] = Int(k)
    let inner = shape.product((axis + 1)..<shape.rank)
    // An output that nobody uses is needed all the same: the heap lives in both.
    let elements = result.elements
    let values =
      context.wants(0)
      ? try context.output(0, type, result).bytes
      : UnsafeMutableRawPointer(context.temporary(elements * type.byteWidth, of: UInt8.self))
    let indices =
      context.wants(1)
      ? try context.output(1, .int64, result).integers : context.temporary(elements, of: Int64.self)
    guard elements > 0 else { return }
    let select = Selection(
      outer: shape.product(0..<axis), size: shape[axis], inner: inner, k: Int(k), greatest: greatest)
    switch type {
    case .float32: select.run(input, values, indices, Float.self)
    case .float64: select.run(input, values, indices, Double.self)
    case .int64: select.run(input, values, indices, Int64.self)
    case .int32: select.run(input, values, indices, Int32.self)
    case .int16: select.run(input, values, indices, Int16.self)
    case .int8: select.run(input, values, indices, Int8.self)
    case .uint64: select.run(input, values, indices, UInt64.self)
    case .uint32: select.run(input, values, indices, UInt32.self)
    case .uint16: select.run(input, values, indices, UInt16.self)
    default: select.run(input, values, indices, UInt8.self)
    }
  }
}

/// Selection by a heap of k elements in the memory of the result: no memory of its own, at most n log k steps.
private struct Selection {
  let outer: Int
  let size: Int
  let inner: Int
  let k: Int
  let greatest: Bool

  /// Elements that are looked at together: most blocks have none that comes before what has been found.
  private static let block = 16

  func run<T: NumericElement>(
    _ input: Tensor, _ values: UnsafeMutableRawPointer, _ indices: UnsafeMutablePointer<Int64>, _: T.Type
  ) {
    let from = input.pointer(as: T.self)
    let to = values.assumingMemoryBound(to: T.self)
    for block in 0..<outer {
      for column in 0..<inner {
        let heap = Heap(
          values: to + (block * k * inner + column), indices: indices + (block * k * inner + column), step: inner,
          greatest: greatest)
        let start = from + (block * size * inner + column)
        for i in 0..<k { heap.set(i, start[i * inner], Int64(i)) }
        for i in stride(from: k / 2 - 1, through: 0, by: -1) { heap.sink(i, below: k) }
        var i = k
        while i < size {
          if inner == 1, i + Self.block <= size, !heap.mayTake(start + i, Self.block) {
            i += Self.block
            continue
          }
          let value = start[i * inner]
          // A later element replaces the worst only when it is strictly better.
          if heap.precedes(value, Int64(i), heap.values[0], heap.indices[0]) {
            heap.set(0, value, Int64(i))
            heap.sink(0, below: k)
          }
          i += 1
        }
        // Taking the worst off the heap again and again leaves the best in front.
        for end in stride(from: k - 1, to: 0, by: -1) {
          heap.swap(0, end)
          heap.sink(0, below: end)
        }
      }
    }
  }
}

/// A binary heap whose root is the element that would be dropped first.
private struct Heap<T: NumericElement> {
  let values: UnsafeMutablePointer<T>
  let indices: UnsafeMutablePointer<Int64>
  /// Distance between neighbours.
  let step: Int
  let greatest: Bool

  @inline(__always)
  func set(_ i: Int, _ value: T, _ index: Int64) {
    values[i * step] = value
    indices[i * step] = index
  }

  func swap(_ i: Int, _ j: Int) {
    let value = values[i * step]
    let index = indices[i * step]
    set(i, values[j * step], indices[j * step])
    set(j, value, index)
  }

  /// Whether the first element comes before the second in the result: a total order.
  @inline(__always)
  func precedes(_ a: T, _ indexA: Int64, _ b: T, _ indexB: Int64) -> Bool {
    if a.isNotANumber || b.isNotANumber {
      if a.isNotANumber && b.isNotANumber { return indexA < indexB }
      return a.isNotANumber == greatest
    }
    if a != b { return greatest ? a > b : a < b }
    return indexA < indexB
  }

  /// Whether any of `count` later elements may come before the root; always so when there is a NaN.
  @inline(__always)
  func mayTake(_ elements: UnsafePointer<T>, _ count: Int) -> Bool {
    let worst = values[0]
    var beaten = 0
    if greatest {
      for i in 0..<count { beaten &+= elements[i] <= worst ? 1 : 0 }
    } else {
      for i in 0..<count { beaten &+= elements[i] >= worst ? 1 : 0 }
    }
    return beaten != count
  }

  @inline(__always)
  private func precedes(_ i: Int, _ j: Int) -> Bool {
    precedes(values[i * step], indices[i * step], values[j * step], indices[j * step])
  }

  func sink(_ from: Int, below count: Int) {
    var parent = from
    while true {
      var worst = 2 * parent + 1
      guard worst < count else { return }
      if worst + 1 < count, precedes(worst, worst + 1) { worst += 1 }
      guard precedes(parent, worst) else { return }
      swap(parent, worst)
      parent = worst
    }
  }
}
