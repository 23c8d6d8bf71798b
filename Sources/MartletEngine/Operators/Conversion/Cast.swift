import MartletCore

/// `Cast` and `CastLike`: elements of another type.
///
/// Real numbers become whole ones towards zero; out of range they become what the processors that ONNX Runtime runs on
/// make of them (see `NumericElement`). Texts are read and printed as ONNX Runtime does (see `NumberText`).
final class CastOperator: Operator {
  private let source: ElementType
  private let target: ElementType

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    source = try context.type(0, of: node, among: ElementType.allCases)
    if node.opType == "CastLike" {
      try context.requireInputs(2...2, of: node)
      target = try context.type(1, of: node, among: ElementType.allCases)
    } else {
      try context.requireInputs(1...1, of: node)
      let code = try node.required("to", try node.integer("to"))
      guard let type = ElementType(onnx: code) else {
        throw node.error(attribute: "to", "is \(code), a type of elements that is not supported")
      }
      target = type
    }
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    if source == target { return context.output(0, viewing: input, input.shape) }
    let output = try context.output(0, target, input.shape)
    if source == .text {
      try context.refusing { () throws(Status) in
        try NumberText.parse(input.texts, count: input.count, into: output)
      }
    } else if target == .text {
      NumberText.print(input, into: output.texts, context)
    } else {
      ElementConversion.convert(input.bytes, source, to: output.bytes, target, count: input.count)
    }
  }
}

extension ElementType {
  /// The type that ONNX numbers `code`, nil for one that the engine does not have.
  ///
  /// Source: `TensorProto.DataType` of onnx.proto.
  init?(onnx code: Int64) {
    switch code {
    case 1: self = .float32
    case 2: self = .uint8
    case 3: self = .int8
    case 4: self = .uint16
    case 5: self = .int16
    case 6: self = .int32
    case 7: self = .int64
    case 8: self = .text
    case 9: self = .bool
    case 10: self = .float16
    case 11: self = .float64
    case 12: self = .uint32
    case 13: self = .uint64
    default: return nil
    }
  }
}
