import MartletCore

/// `Constant`: a value that the model file holds.
final class ConstantOperator: Operator {
  private let value: ConstantTensor

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    guard node.attributes.count == 1, let (name, attribute) = node.attributes.first else {
      throw node.error("has \(node.attributes.count) attributes, expected the value alone")
    }
    switch (name, attribute) {
    case ("value", .tensor(let tensor)): value = tensor
    case ("value_float", .float(let float)): value = ConstantTensor(.float32, Shape(), [float])
    case ("value_floats", .floats(let floats)): value = ConstantTensor(.float32, Shape(floats.count), floats)
    case ("value_int", .integer(let integer)): value = ConstantTensor(.int64, Shape(), [integer])
    case ("value_ints", .integers(let integers)): value = ConstantTensor(.int64, Shape(integers.count), integers)
    case ("value_string", .text(let text)):
      value = ConstantTensor(strings: [text], Shape())
    case ("value_strings", .texts(let texts)): value = texts
    default: throw node.error(attribute: name, "is \(attribute.kind), which is not supported as a constant")
    }
  }

  func run(_ context: RunContext) throws(Status) {
    // The operator owns the value, and the plan owns the operator.
    context.slots[Int(context.outputs[0])].alias(value.type, value.shape, at: value.memory)
  }
}

/// `ConstantOfShape`: a tensor of the given shape full of one value, float 0 when the model names none.
final class ConstantOfShapeOperator: Operator {
  private let value: ConstantTensor

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(1...1, of: node)
    _ = try context.type(0, of: node, among: [.int64])
    value = try node.tensor("value") ?? ConstantTensor(.float32, Shape(1), [Float(0)])
    guard value.count == 1, value.type != .text else {
      throw node.error(attribute: "value", "is \(value.type) of shape \(value.shape), expected one number")
    }
  }

  func run(_ context: RunContext) throws(Status) {
    let wanted = try IntegerList(context.input(0), name: "the shape")
    var shape = Shape()
    for i in 0..<wanted.count { try shape.checkedAppend(wanted[i]) }
    let output = try context.output(0, value.type, shape)
    var copy = StridedCopy()
    copy.append(size: output.count, source: 0, target: 1)
    copy.run(from: value.memory, to: output.bytes, width: value.type.byteWidth)
  }
}

/// `Range`: numbers from a start up to a limit, exclusive, in equal steps.
final class RangeOperator: Operator {
  private let type: ElementType

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(3...3, of: node)
    type = try context.type(0, of: node, among: [.float32, .float64, .int16, .int32, .int64])
    for index in 1...2 { _ = try context.type(index, of: node, among: [type]) }
  }

  func run(_ context: RunContext) throws(Status) {
    for index in 0...2 where context.input(index).count != 1 {
      throw Status(.invalidArgument, "input \(index) has the shape \(context.input(index).shape), expected a scalar")
    }
    switch type {
    case .float32: try fill(context, Float.self)
    case .float64: try fill(context, Double.self)
    case .int16: try fill(context, Int16.self)
    case .int32: try fill(context, Int32.self)
    default: try fill(context, Int64.self)
    }
  }

  private func fill<T: NumericElement>(_ context: RunContext, _: T.Type) throws(Status) {
    let start = context.input(0).pointer(as: T.self)[0]
    let limit = context.input(1).pointer(as: T.self)[0]
    let step = context.input(2).pointer(as: T.self)[0]
    let steps = ((limit.asDouble - start.asDouble) / step.asDouble).rounded(.up)
    // Not a number fails the second comparison.
    guard step != 0, steps <= Double(RunContext.maximumElements) else {
      throw Status(.invalidArgument, "the range from \(start) to \(limit) in steps of \(step) is not possible")
    }
    let result = try context.output(0, type, Shape(Int(max(0, steps))))
    var value = start
    for i in 0..<result.count {
      result.pointer(as: T.self)[i] = value
      value = T.sum(value, step)
    }
  }
}
