import MartletCore

/// `Slice`: from `starts` to `ends` in `steps` along `axes`; negative positions count from the end.
///
/// The four are attributes up to version 9, without steps, and inputs from then on.
final class SliceOperator: Operator {
  private let type: ElementType
  private let starts: IntegerSource
  private let ends: IntegerSource
  private let axes: IntegerSource
  private let steps: IntegerSource

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(node.opset < 10 ? 1...1 : 3...5, of: node)
    type = try context.type(0, of: node, among: ElementType.allCases)
    starts = try IntegerSource(node, "starts", attributeUpTo: 9, input: 1)
    ends = try IntegerSource(node, "ends", attributeUpTo: 9, input: 2)
    axes = try IntegerSource(node, "axes", attributeUpTo: 9, input: 3)
    steps = try IntegerSource(node, "steps", attributeUpTo: 9, input: 4)
    if node.opset < 10 {
      for name in ["starts", "ends"] where node.attributes[name] == nil {
        throw node.error(attribute: name, "is missing")
      }
    }
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    let shape = input.shape
    let strides = shape.strides
    guard let starts = try starts.read(context), let ends = try ends.read(context) else {
      throw Status(.invalidArgument, "starts or ends are missing")
    }
    let axes = try axes.read(context)
    let steps = try steps.read(context)
    guard ends.count == starts.count, (axes?.count ?? starts.count) == starts.count,
      (steps?.count ?? starts.count) == starts.count, starts.count <= shape.rank
    else {
      throw Status(
        .invalidArgument,
        "starts, ends, axes and steps have \(starts.count), \(ends.count), "
          + "\(axes?.count ?? starts.count) and \(steps?.count ?? starts.count) values for the shape \(shape)")
    }
    if let axes { _ = try shape.checkedAxes(axes) }
    var first = InlineArray<8, Int>(repeating: 0)
    var step = InlineArray<8, Int>(repeating: 1)
    var result = shape
    for i in 0..<starts.count {
      let axis = try shape.checkedAxis(axes?[i] ?? i)
      let by = steps?[i] ?? 1
      guard by != 0 else { throw Status(.invalidArgument, "steps has a 0") }
      let size = shape[axis]
      let lowest = by > 0 ? 0 : -1
      let highest = by > 0 ? size : size - 1
      let start = Self.position(starts[i], size, 0, highest)
      let end = Self.position(ends[i], size, lowest, size)
      let length = by > 0 ? end - start : start - end
      // The magnitude of the least integer is one more than the greatest; as a step, either takes one element.
      let width = by.magnitude > UInt(Int.max) ? Int.max : Int(by.magnitude)
      result[axis] = length <= 0 || size == 0 ? 0 : (length - 1) / width + 1
      first[axis] = start
      step[axis] = by
    }
    let output = try context.output(0, type, result)
    guard output.count > 0 else { return }
    let targets = result.strides
    var copy = StridedCopy()
    var offset = 0
    for i in 0..<shape.rank {
      offset += first[i] * strides[i]
      copy.append(size: result[i], source: strides[i] &* step[i], target: targets[i])
    }
    copy.run(from: input.bytes + offset * type.byteWidth, to: output.bytes, width: type.byteWidth)
  }

  private static func position(_ value: Int, _ size: Int, _ low: Int, _ high: Int) -> Int {
    min(max(value < 0 ? value + size : value, low), high)
  }
}
