import MartletCore

/// `Scan`: a graph run for each slice of some inputs along an axis, with state that goes from run to run; what it makes
/// beside the state is stacked along an axis.
///
/// Inputs are the first state, what is scanned, and what the graph reads of the one around it. Converters write the
/// distances to known rows so; that form is recognized and computed at once (`PairwiseDistances`).
final class ScanOperator: Operator {
  /// The most slices of a call.
  private static let maximumLength = 1 << 20

  private let body: NestedGraph
  private let states: Int
  private let scans: Int
  /// For each scanned input, then for each stacked output: the axis, and whether it goes backwards.
  private let inputAxes: [Int]
  private let inputIsBackward: [Bool]
  private let outputAxes: [Int]
  private let outputIsBackward: [Bool]
  private let distances: PairwiseDistances?

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    let graph = try node.graph("body")
    let scans = try node.required("num_scan_inputs", node.integer("num_scan_inputs"))
    let formal = graph.inputs.count - graph.capturedInputs
    guard scans >= 1, scans <= Int64(formal) else {
      throw node.error(attribute: "num_scan_inputs", "is \(scans), the body has \(formal) inputs")
    }
    self.scans = Int(scans)
    states = formal - self.scans
    try context.requireInputs(graph.inputs.count...graph.inputs.count, of: node)
    let stacked = graph.outputs.count - states
    guard stacked >= 0, context.outputCount <= graph.outputs.count else {
      throw node.error("its body has \(graph.outputs.count) outputs, expected \(states) states and what is stacked")
    }
    guard !graph.holds("Scan") else { throw node.error("holds another Scan, which is not supported") }
    inputAxes = try Self.list(node, "scan_input_axes", self.scans)
    inputIsBackward = try Self.list(node, "scan_input_directions", self.scans).map { $0 != 0 }
    outputAxes = try Self.list(node, "scan_output_axes", stacked)
    outputIsBackward = try Self.list(node, "scan_output_directions", stacked).map { $0 != 0 }

    var given: [(type: ElementType, shape: Shape, bytes: UnsafeRawPointer, constant: ConstantTensor?)] = []
    // First slices of what is scanned along another axis than the first, for the planning run.
    var slices: [ConstantTensor] = []
    for index in 0..<context.inputCount {
      // None is absent: the number of inputs has been checked, and formal ones are all required.
      let input = context.inputs[index].unsafelyUnwrapped
      guard index >= states, index < formal else {
        // A state changes from run to run, even one that begins as a constant.
        given.append((input.type, input.shape, input.bytes, index < states ? nil : input.constant))
        continue
      }
      let place = index - states
      guard let axis = input.shape.axis(inputAxes[place]) else {
        throw node.error("input \(index) has the shape \(input.shape), and is scanned along axis \(inputAxes[place])")
      }
      var shape = input.shape
      let length = shape[axis]
      shape.remove(at: axis)
      let slice =
        input.type == .text
        ? ConstantTensor(strings: [String](repeating: "", count: shape.elements), shape)
        : ConstantTensor(input.type, shape) { (memory: UnsafeMutableRawBufferPointer) in
          guard length > 0, let start = memory.baseAddress, memory.count > 0 else { return }
          Self.copySlice(input.bytes, input.shape, axis, 0, to: start, input.type)
        }
      slices.append(slice)
      given.append((input.type, shape, UnsafeRawPointer(slice.memory), nil))
    }
    // Two copies of every state, and one of every slice.
    let spare = 2 * states + self.scans
    body = try withExtendedLifetime(slices) { () throws(ModelError) -> NestedGraph in
      try NestedGraph(node, graph, given: given, spare: spare, context: context)
    }
    distances =
      states == 1 && self.scans == 1 && inputAxes == [0] && inputIsBackward == [false] && outputAxes == [0]
        && outputIsBackward == [false] ? PairwiseDistances(graph, context) : nil
  }

  private static func list(_ node: GraphNode, _ name: String, _ count: Int) throws(ModelError) -> [Int] {
    guard let values = try node.integers(name) else { return [Int](repeating: 0, count: count) }
    let bound = Int64(Shape.maximumRank)
    guard values.count == count, values.allSatisfy({ (-bound...bound).contains($0) }) else {
      throw node.error(attribute: name, "is \(values), expected \(count) values")
    }
    return values.map { Int($0) }
  }

  private static func copySlice(
    _ source: UnsafeRawPointer, _ shape: Shape, _ axis: Int, _ position: Int, to target: UnsafeMutableRawPointer,
    _ type: ElementType
  ) {
    let inner = shape.product((axis + 1)..<shape.rank)
    var copy = StridedCopy()
    copy.append(size: shape.product(0..<axis), source: shape[axis] * inner, target: inner)
    copy.append(size: inner, source: 1, target: 1)
    copy.run(from: source + position * inner * type.byteWidth, to: target, width: type.byteWidth)
  }

  func run(_ context: RunContext) throws(Status) {
    let length = try length(context)
    if let distances, try distances.run(context) { return }
    let memory = body.take()
    defer { body.give(memory) }
    let slots = memory.scratch.slots
    for (index, slot) in body.inputs.enumerated() where slot >= 0 && (index < states || index >= states + scans) {
      let outer = context.input(index)
      slots[slot].alias(outer.type, outer.shape, at: outer.bytes)
    }
    for step in 0..<length {
      for scan in 0..<scans { slice(scan, inputIsBackward[scan] ? length - 1 - step : step, slots, context) }
      try body.run(memory, context)
      for output in states..<body.outputs.count where context.wants(output) {
        try stack(output, step, length, Tensor(slot: slots + body.outputs[output]), context)
      }
      carry(step, slots)
    }
    for state in 0..<states where context.wants(state) {
      // A state is no constant, so it has a slot.
      let last = Tensor(slot: slots + body.inputs[state])
      let result = try context.output(state, last.type, last.shape)
      result.bytes.copyMemory(from: last.bytes, byteCount: last.byteCount)
    }
    for output in states..<body.outputs.count where length == 0 && context.wants(output) {
      let (shape, _) = try stackedShape(output, body.outputShapes[output], 0)
      _ = try context.output(output, body.outputTypes[output], shape)
    }
  }

  /// How many slices there are, of which all scanned inputs have as many.
  private func length(_ context: RunContext) throws(Status) -> Int {
    var length: Int?
    for scan in 0..<scans {
      let shape = context.input(states + scan).shape
      let size = shape[try shape.checkedAxis(inputAxes[scan])]
      guard length == nil || length == size else {
        throw Status(.invalidArgument, "input \(states + scan) has \(size) slices, another one \(length ?? 0)")
      }
      length = size
    }
    guard let length, length <= Self.maximumLength else {
      throw Status(.invalidArgument, "there are \(length ?? 0) slices, at most \(Self.maximumLength) are possible")
    }
    return length
  }

  /// Shows the body one slice of input `scan`.
  private func slice(
    _ scan: Int, _ position: Int, _ slots: UnsafeMutablePointer<TensorSlot>, _ context: RunContext
  ) {
    let outer = context.input(states + scan)
    var shape = outer.shape
    // `length` has found the axis to be there.
    let axis = shape.axis(inputAxes[scan]).unsafelyUnwrapped
    shape.remove(at: axis)
    let slot = body.inputs[states + scan]
    if axis == 0 {
      let start = outer.bytes + position * shape.elements * outer.type.byteWidth
      slots[slot].alias(outer.type, shape, at: start)
    } else {
      let copy = body.spare + 2 * states + scan
      slots[copy].reserve(outer.type, shape)
      Self.copySlice(outer.bytes, outer.shape, axis, position, to: slots[copy].base, outer.type)
      slots[slot].alias(outer.type, shape, at: slots[copy].base)
    }
  }

  /// Makes the states that a run has left those that the next one begins with: two copies take turns.
  private func carry(_ step: Int, _ slots: UnsafeMutablePointer<TensorSlot>) {
    for state in 0..<states {
      let made = slots[body.outputs[state]]
      let given = body.inputs[state]
      if made.base == slots[given].base, made.shape == slots[given].shape, made.type == slots[given].type { continue }
      let copy = body.spare + 2 * state + step & 1
      slots[copy].reserve(made.type, made.shape)
      slots[copy].base.copyMemory(from: made.base, byteCount: made.shape.elements * made.type.byteWidth)
      slots[given].alias(made.type, made.shape, at: slots[copy].base)
    }
  }

  private func stackedShape(_ output: Int, _ part: Shape, _ length: Int) throws(Status) -> (shape: Shape, axis: Int) {
    var shape = part
    guard part.rank < Shape.maximumRank else {
      throw Status(.invalidArgument, "output \(output) would have more than \(Shape.maximumRank) dimensions")
    }
    let wanted = outputAxes[output - states]
    let axis = wanted < 0 ? wanted + part.rank + 1 : wanted
    guard axis >= 0, axis <= part.rank else {
      throw Status(.invalidArgument, "output \(output) is stacked along axis \(wanted), a part has the shape \(part)")
    }
    shape.insert(length, at: axis)
    return (shape, axis)
  }

  private func stack(
    _ output: Int, _ step: Int, _ length: Int, _ part: Tensor, _ context: RunContext
  ) throws(Status) {
    let (shape, axis) = try stackedShape(output, part.shape, length)
    let target: Tensor
    if step == 0 {
      target = try context.output(output, part.type, shape)
    } else {
      target = Tensor(slot: context.slots + Int(context.outputs[output]))
      guard target.shape == shape, target.type == part.type else {
        throw Status(.invalidArgument, "output \(output) has parts of different shapes, \(part.shape) among them")
      }
    }
    let position = outputIsBackward[output - states] ? length - 1 - step : step
    let inner = part.shape.product(axis..<part.rank)
    let width = part.type.byteWidth
    var copy = StridedCopy()
    copy.append(size: part.shape.product(0..<axis), source: inner, target: length * inner)
    copy.append(size: inner, source: 1, target: 1)
    copy.run(from: part.bytes, to: target.bytes + position * inner * width, width: width)
  }
}

extension Graph {
  /// Whether a node is of operator `opType`, here or in a graph inside.
  fileprivate func holds(_ opType: String) -> Bool {
    nodes.contains { node in
      node.opType == opType
        || node.attributes.values.contains { if case .graph(let inner) = $0 { inner.holds(opType) } else { false } }
    }
  }
}
