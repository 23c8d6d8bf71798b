import MartletCore

/// `Dropout` in inference: the input as it is, and a mask that keeps everything.
///
/// Training mode, an input from version 12 on, is refused. The mask is what ONNX Runtime gives: true from version 12,
/// false in 10 and 11, zeros of the input's type before.
final class DropoutOperator: Operator {
  private let type: ElementType
  private let opset: Int

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    opset = node.opset
    try context.requireInputs(1...(opset < 12 ? 1 : 3), of: node)
    type = try context.type(0, of: node, among: ElementType.floats)
    if context.hasInput(2) {
      _ = try context.type(2, of: node, among: [.bool])
      guard context.constant(2)?.integers ?? [0] == [0] else {
        throw node.error("input 2 (training_mode) is true; only inference is supported")
      }
    }
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    if let training = context.optionalInput(2), training.count != 1 || training.bools[0] != 0 {
      throw Status(.invalidArgument, "training_mode is true; only inference is supported")
    }
    if context.wants(0) { context.output(0, viewing: input, input.shape) }
    guard context.wants(1) else { return }
    let mask = try context.output(1, opset < 10 ? type : .bool, input.shape)
    mask.bytes.initializeMemory(as: UInt8.self, repeating: opset < 12 ? 0 : 1, count: mask.byteCount)
  }
}
