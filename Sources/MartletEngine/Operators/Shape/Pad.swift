import MartletCore

/// `Pad` in the mode `constant`: a border of one value around the input; a negative width cuts instead.
///
/// Widths and value are attributes up to version 10 and inputs from then on; axes are an input from version 18.
final class PadOperator: Operator {
  private let type: ElementType
  private let pads: IntegerSource
  private let axes: IntegerSource
  private let attributeValue: Float?

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(node.opset < 11 ? 1...1 : 2...(node.opset < 18 ? 3 : 4), of: node)
    type = try context.type(0, of: node, among: ElementType.numbers + [.bool, .float16])
    let mode = try node.text("mode", default: "constant")
    guard mode == "constant" else {
      throw node.error(attribute: "mode", "is '\(mode)', only 'constant' is supported")
    }
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
