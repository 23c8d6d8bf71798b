import MartletCore

/// `Pad`: a border around the input, of one value or, by its mode, of elements of the input; a negative width cuts
/// instead.
///
/// Widths and value are attributes up to version 10 and inputs from then on; axes are an input from version 18.
final class PadOperator: Operator {
  private enum Mode: String {
    case constant, edge, reflect, wrap
  }

  private let type: ElementType
  private let mode: Mode
  private let pads: IntegerSource
  private let axes: IntegerSource
  private let attributeValue: Float?

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(node.opset < 11 ? 1...1 : 2...(node.opset < 18 ? 3 : 4), of: node)
    type = try context.type(0, of: node, among: ElementType.numbers + [.bool, .float16])
    let name = try node.text("mode", default: "constant")
    guard let mode = Mode(rawValue: name), mode != .wrap || node.opset >= 19 else {
      throw node.error(attribute: "mode", "is '\(name)', expected constant, edge, reflect or, from version 19, wrap")
    }
    self.mode = mode
    pads = try IntegerSource(node, "pads", attributeUpTo: 10, input: 1)
    axes = try IntegerSource(node, "axes", attributeUpTo: 0, input: 3)
    if node.opset < 11 {
      attributeValue = try node.float("value", default: 0)
      guard node.attributes["pads"] != nil else { throw node.error(attribute: "pads", "is missing") }
      _ = try context.type(0, of: node, among: ElementType.floats)
    } else {
      attributeValue = nil
      if context.hasInput(2) { _ = try context.type(2, of: node, among: [type]) }
    }
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    let shape = input.shape
    guard let pads = try pads.read(context) else { throw Status(.invalidArgument, "pads are missing") }
    let axes = try axes.read(context)
    let count = axes?.count ?? shape.rank
    guard pads.count == 2 * count else {
      throw Status(.invalidArgument, "pads has \(pads.count) values for \(count) axes")
    }
    if let axes { _ = try shape.checkedAxes(axes) }
    var before = InlineArray<8, Int>(repeating: 0)
    var kept = shape
    var skipped = InlineArray<8, Int>(repeating: 0)
    var result = shape
    for i in 0..<count {
      let axis = try shape.checkedAxis(axes?[i] ?? i)
      let head = pads[i]
      let tail = pads[count + i]
      let bound = 1 << 40
      guard (-bound...bound).contains(head), (-bound...bound).contains(tail), shape[axis] + head + tail >= 0 else {
        throw Status(.invalidArgument, "pads \(pads) are not possible for the shape \(shape)")
      }
      result[axis] = shape[axis] + head + tail
      before[axis] = max(0, head)
      skipped[axis] = min(shape[axis], max(0, -head))
      kept[axis] = max(0, min(shape[axis] - skipped[axis], result[axis] - before[axis]))
    }
    let output = try context.output(0, type, result)
    guard mode == .constant else { return try border(input, output, pads, axes, context) }
    try fill(output, context)
    let from = shape.strides
    let to = result.strides
    var copy = StridedCopy()
    var source = 0
    var target = 0
    for i in 0..<shape.rank {
      source += skipped[i] * from[i]
      target += before[i] * to[i]
      copy.append(size: kept[i], source: from[i], target: to[i])
    }
    let width = type.byteWidth
    copy.run(from: input.bytes + source * width, to: output.bytes + target * width, width: width)
  }

  /// Takes every element of the output from the place of the input that the mode maps its position to.
  private func border(
    _ input: Tensor, _ output: Tensor, _ pads: IntegerList, _ axes: IntegerList?, _ context: RunContext
  ) throws(Status) {
    let from = input.shape
    let to = output.shape
    guard output.count > 0 else { return }
    guard input.count > 0 else {
      throw Status(.invalidArgument, "an input of shape \(from) has no elements for a border")
    }
    // For each axis, the offset in the input of every position in the output.
    let offsets = context.temporary(to.dimensions.reduce(0, +), of: Int.self)
    var starts = InlineArray<8, Int>(repeating: 0)
    let strides = from.strides
    var next = 0
    for axis in 0..<from.rank {
      starts[axis] = next
      var head = 0
      var tail = 0
      let count = axes?.count ?? from.rank
      for i in 0..<count where (axes.map { from.axis($0[i]) } ?? i) == axis {
        head = pads[i]
        tail = pads[count + i]
      }
      // A negative width cuts first; the rest is what the border shows.
      let cut = max(0, -head)
      let size = from[axis] - cut - max(0, -tail)
      guard size > 0 else { throw Status(.invalidArgument, "pads leave nothing of axis \(axis) for a border") }
      for position in 0..<to[axis] {
        offsets[next] = (cut + mapped(position - max(0, head), size)) * strides[axis]
        next += 1
      }
    }
    var counters = InlineArray<8, Int>(repeating: 0)
    let width = type.byteWidth
    for i in 0..<output.count {
      var offset = 0
      for axis in 0..<from.rank { offset += offsets[starts[axis] + counters[axis]] }
      (output.bytes + i * width).copyMemory(from: input.bytes + offset * width, byteCount: width)
      var axis = from.rank - 1
      while axis >= 0 {
        counters[axis] += 1
        if counters[axis] < to[axis] { break }
        counters[axis] = 0
        axis -= 1
      }
    }
  }

  /// The position of the input, of `size` along an axis, that `position` outside of it shows.
  private func mapped(_ position: Int, _ size: Int) -> Int {
    switch mode {
    case .constant, .edge: return min(max(position, 0), size - 1)
    case .wrap: return (position % size + size) % size
    case .reflect:
      guard size > 1 else { return 0 }
      let period = 2 * (size - 1)
      let place = (position % period + period) % period
      return place < size ? place : period - place
    }
  }

  private func fill(_ output: Tensor, _ context: RunContext) throws(Status) {
    var copy = StridedCopy()
    copy.append(size: output.count, source: 0, target: 1)
    if let value = attributeValue {
      if type == .float32 {
        output.floats.update(repeating: value, count: output.count)
      } else {
        output.doubles.update(repeating: Double(value), count: output.count)
      }
    } else if let value = context.optionalInput(2) {
      guard value.count == 1 else {
        throw Status(.invalidArgument, "the value has the shape \(value.shape), expected a scalar")
      }
      copy.run(from: value.bytes, to: output.bytes, width: type.byteWidth)
    } else {
      output.bytes.initializeMemory(as: UInt8.self, repeating: 0, count: output.byteCount)
    }
  }
}
