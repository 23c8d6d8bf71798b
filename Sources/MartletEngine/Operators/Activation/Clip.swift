import MartletCore

/// `Clip`: elements kept between a least and a greatest value; a missing bound is the type's extreme finite value.
///
/// The bounds are attributes up to version 10 and inputs from then on. What is not a number stays so; when the least
/// value is above the greatest, the greatest is the result, as in ONNX Runtime.
final class ClipOperator: Operator {
  private let type: ElementType
  private let least: Float?
  private let greatest: Float?
  private let hasInputs: Bool

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    hasInputs = node.opset >= 11
    try context.requireInputs(1...(hasInputs ? 3 : 1), of: node)
    type = try context.type(0, of: node, among: node.opset < 12 ? ElementType.floats : ElementType.numbers)
    least = hasInputs ? nil : try node.float("min")
    greatest = hasInputs ? nil : try node.float("max")
    for index in 1...2 where context.hasInput(index) { _ = try context.type(index, of: node, among: [type]) }
  }

  func run(_ context: RunContext) throws(Status) {
    switch type {
    case .float32: try clip(context, Float.self)
    case .float64: try clip(context, Double.self)
    case .int64: try clip(context, Int64.self)
    case .int32: try clip(context, Int32.self)
    case .int16: try clip(context, Int16.self)
    case .int8: try clip(context, Int8.self)
    case .uint64: try clip(context, UInt64.self)
    case .uint32: try clip(context, UInt32.self)
    case .uint16: try clip(context, UInt16.self)
    default: try clip(context, UInt8.self)
    }
  }

  private func clip<T: NumericElement>(_ context: RunContext, _: T.Type) throws(Status) {
    let input = context.input(0)
    let low = try bound(context, 1, least, T.lowest)
    let high = try bound(context, 2, greatest, T.greatest)
    let result = try context.output(0, type, input.shape)
    let from = input.pointer(as: T.self)
    let to = result.pointer(as: T.self)
    for i in 0..<result.count {
      let x = from[i]
      let raised = x < low ? low : x
      to[i] = raised > high ? high : raised
    }
  }

  private func bound<T: NumericElement>(
    _ context: RunContext, _ index: Int, _ attribute: Float?, _ fallback: T
  ) throws(Status) -> T {
    if let attribute { return T(converting: Double(attribute)) }
    guard hasInputs, let tensor = context.optionalInput(index) else { return fallback }
    guard tensor.count == 1 else {
      throw Status(.invalidArgument, "bound \(index) has the shape \(tensor.shape), expected a scalar")
    }
    return tensor.pointer(as: T.self)[0]
  }
}
