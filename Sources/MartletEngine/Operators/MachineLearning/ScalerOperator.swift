import MartletCore

/// `Scaler`: (x - offset) * scale for each feature, or one pair for all.
final class ScalerOperator: Operator {
  private let offset: [Float]
  private let scale: [Float]
  private let type: ElementType

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(1...1, of: node)
    type = try context.type(0, of: node, among: NumericInput.types)
    offset = try node.floats("offset") ?? [0]
    scale = try node.floats("scale") ?? [1]
    guard !offset.isEmpty, !scale.isEmpty, offset.count == scale.count || offset.count == 1 || scale.count == 1 else {
      throw node.error(attribute: "scale", "has \(scale.count) values, offset has \(offset.count)")
    }
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    let features = input.rank == 1 ? input.dim(0) : input.rank == 0 ? 1 : input.shape.last
    for count in [offset.count, scale.count] where count != 1 && count != features {
      throw Status(.invalidArgument, "input 0 has \(features) features, expected \(count)")
    }
    let output = try context.output(0, .float32, input.shape).floats
    let count = input.count
    offset.withUnsafeBufferPointer { offset in
      scale.withUnsafeBufferPointer { scale in
        var feature = 0
        let offsetStep = offset.count == 1 ? 0 : 1
        let scaleStep = scale.count == 1 ? 0 : 1
        for index in 0..<count {
          let shift = offset[feature * offsetStep]
          let factor = scale[feature * scaleStep]
          // In the precision of the input, and in single precision for integers.
          switch type {
          case .float32: output[index] = (input.floats[index] - shift) * factor
          case .float64: output[index] = Float((input.doubles[index] - Double(shift)) * Double(factor))
          case .int64: output[index] = (Float(input.integers[index]) - shift) * factor
          default: output[index] = (Float(input.pointer(as: Int32.self)[index]) - shift) * factor
          }
          feature += 1
          if feature == features { feature = 0 }
        }
      }
    }
  }
}
