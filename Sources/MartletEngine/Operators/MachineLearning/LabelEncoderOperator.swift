import MartletCore

/// `LabelEncoder`: each element replaced by the value of its key, or by the default.
///
/// Version 1 knows a list of texts and their numbers, in either direction; from 2 on keys and values are lists of any
/// types, from 4 on also tensors, and a key that is NaN is found.
final class LabelEncoderOperator: Operator {
  private let table: KeyTable
  private let keyType: ElementType
  /// The values by the number of their key, and the default behind them.
  private let values: ConstantTensor

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(1...1, of: node)
    guard let inputType = context.type(0) else { throw node.error("input 0 is missing") }
    let keys: ConstantTensor
    let values: ConstantTensor
    let fallback: ConstantTensor
    if node.opset < 2 {
      let classes = try node.required("classes_strings", try node.texts("classes_strings"))
      let numbers = Self.integers((0..<classes.count).map(Int64.init))
      if inputType == .text {
        (keys, values) = (classes, numbers)
        fallback = Self.integers([try node.integer("default_int64", default: -1)])
      } else {
        (keys, values) = (numbers, classes)
        fallback = ConstantTensor(strings: [try node.text("default_string", default: "_Unused")])
      }
    } else {
      keys = try Self.list(node, "keys")
      values = try Self.list(node, "values")
      fallback = try Self.fallback(node, values.type)
    }
    guard keys.type == inputType else {
      throw node.error("input 0 is \(inputType), the keys are \(keys.type)")
    }
    guard keys.count == values.count else {
      throw node.error("has \(keys.count) keys and \(values.count) values")
    }
    keyType = keys.type
    switch keys.type {
    case .text: table = KeyTable(texts: keys)
    case .int64, .int32, .int16: table = KeyTable(integers: keys.integers ?? [])
    case .float32: table = KeyTable(floats: keys.array(of: Float.self).map(Double.init), matchesNaN: node.opset >= 4)
    case .float64: table = KeyTable(floats: keys.array(of: Double.self), matchesNaN: node.opset >= 4)
    default: throw node.error("keys of \(keys.type) are not supported")
    }
    self.values = try Self.joined(node, values, fallback)
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    let output = try context.output(0, values.type, input.shape)
    let unknown = values.count - 1
    for index in 0..<input.count {
      let found: Int
      switch keyType {
      case .text: found = table.find(input.texts[index]) ?? unknown
      case .float32: found = table.find(Double(input.floats[index])) ?? unknown
      case .float64: found = table.find(input.doubles[index]) ?? unknown
      case .int32: found = table.find(Int64(input.pointer(as: Int32.self)[index])) ?? unknown
      case .int16: found = table.find(Int64(input.pointer(as: Int16.self)[index])) ?? unknown
      default: found = table.find(input.integers[index]) ?? unknown
      }
      switch values.type.byteWidth {
      case 16: output.texts[index] = values.pointer(as: TextRef.self)[found]
      case 8: output.pointer(as: UInt64.self)[index] = values.pointer(as: UInt64.self)[found]
      case 4: output.pointer(as: UInt32.self)[index] = values.pointer(as: UInt32.self)[found]
      default: output.pointer(as: UInt16.self)[index] = values.pointer(as: UInt16.self)[found]
      }
    }
  }

  // MARK: Attributes

  private static func integers(_ values: [Int64]) -> ConstantTensor {
    ConstantTensor(.int64, Shape(values.count)) { bytes in
      values.withUnsafeBytes { bytes.copyMemory(from: $0) }
    }
  }

  private static func floats(_ values: [Float]) -> ConstantTensor {
    ConstantTensor(.float32, Shape(values.count)) { bytes in
      values.withUnsafeBytes { bytes.copyMemory(from: $0) }
    }
  }

  /// The one of `keys_strings`, `keys_int64s`, `keys_floats` and `keys_tensor` that is there (or of `values_…`).
  private static func list(_ node: GraphNode, _ name: String) throws(ModelError) -> ConstantTensor {
    var lists: [ConstantTensor] = []
    if let texts = try node.texts("\(name)_strings"), texts.count > 0 { lists.append(texts) }
    if let numbers = try node.integers("\(name)_int64s"), !numbers.isEmpty { lists.append(integers(numbers)) }
    if let numbers = try node.floats("\(name)_floats"), !numbers.isEmpty { lists.append(floats(numbers)) }
    if let tensor = try node.tensor("\(name)_tensor"), tensor.count > 0 { lists.append(tensor) }
    guard let list = lists.first, lists.count == 1 else {
      throw node.error("has \(lists.count) lists of \(name), expected one")
    }
    return list
  }

  private static func fallback(_ node: GraphNode, _ type: ElementType) throws(ModelError) -> ConstantTensor {
    if let tensor = try node.tensor("default_tensor") {
      guard tensor.count == 1, tensor.type == type else {
        throw node.error(
          attribute: "default_tensor", "is \(tensor.type) \(tensor.shape), expected one value of \(type)")
      }
      return tensor
    }
    switch type {
    case .text: return ConstantTensor(strings: [try node.text("default_string", default: "_Unused")])
    case .int64: return integers([try node.integer("default_int64", default: -1)])
    case .float32: return floats([try node.float("default_float", default: -0.0)])
    default:
      // Tensors of other types default to the number that stands for "none": -1, or -0 for real numbers.
      return ConstantTensor(type, Shape(1)) { bytes in
        switch type {
        case .float64: bytes.storeBytes(of: -0.0, as: Double.self)
        case .int32: bytes.storeBytes(of: -1, as: Int32.self)
        case .int16: bytes.storeBytes(of: -1, as: Int16.self)
        default: break
        }
      }
    }
  }

  private static func joined(
    _ node: GraphNode, _ values: ConstantTensor, _ fallback: ConstantTensor
  ) throws(ModelError) -> ConstantTensor {
    switch values.type {
    case .text: return ConstantTensor(strings: values.strings + fallback.strings)
    case .int64, .float64, .int32, .float32, .int16:
      let width = values.type.byteWidth
      return ConstantTensor(values.type, Shape(values.count + 1)) { bytes in
        bytes.copyMemory(from: UnsafeRawBufferPointer(start: values.memory, count: values.count * width))
        UnsafeMutableRawBufferPointer(rebasing: bytes[(values.count * width)...])
          .copyMemory(from: UnsafeRawBufferPointer(start: fallback.memory, count: width))
      }
    default: throw node.error("values of \(values.type) are not supported")
    }
  }
}
