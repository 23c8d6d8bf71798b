import MartletCore
import Testing

@testable import MartletEngine

/// A tensor of a test: its elements as bytes, texts as strings.
struct Value: Equatable, CustomStringConvertible {
  var type: ElementType
  var shape: [Int]
  var bytes: [UInt8] = []
  var strings: [String] = []

  init(_ type: ElementType, _ shape: [Int], bytes: [UInt8]) {
    self.type = type
    self.shape = shape
    self.bytes = bytes
  }

  /// A tensor of `values`; a vector when no shape is given.
  init<T: BitwiseCopyable>(_ values: [T], _ shape: [Int]? = nil) {
    let type: ElementType =
      switch T.self {
      case is Float.Type: .float32
      case is Double.Type: .float64
      case is Float16.Type: .float16
      case is Int64.Type: .int64
      case is Int32.Type: .int32
      case is Int16.Type: .int16
      case is Int8.Type: .int8
      case is UInt64.Type: .uint64
      case is UInt32.Type: .uint32
      case is UInt16.Type: .uint16
      case is UInt8.Type: .uint8
      default: .bool
      }
    self.init(type, shape ?? [values.count], bytes: values.withUnsafeBytes { Array($0) })
  }

  init(texts: [String], _ shape: [Int]? = nil) {
    type = .text
    self.shape = shape ?? [texts.count]
    strings = texts
  }

  func array<T: BitwiseCopyable>(of _: T.Type) -> [T] {
    bytes.withUnsafeBytes { raw in
      (0..<(raw.count / MemoryLayout<T>.stride)).map {
        raw.loadUnaligned(fromByteOffset: $0 * MemoryLayout<T>.stride, as: T.self)
      }
    }
  }

  var constant: ConstantTensor {
    if type == .text {
      return ConstantTensor(strings: strings, Shape(shape))
    }
    return ConstantTensor(type, Shape(shape)) { (memory: UnsafeMutableRawBufferPointer) in
      bytes.withUnsafeBytes { memory.copyMemory(from: $0) }
    }
  }

  var description: String {
    let elements: String =
      switch type {
      case .text: "\(strings)"
      case .float32: "\(array(of: Float.self))"
      case .float64: "\(array(of: Double.self))"
      case .float16: "\(array(of: Float16.self))"
      case .int64: "\(array(of: Int64.self))"
      case .int32: "\(array(of: Int32.self))"
      case .int16: "\(array(of: Int16.self))"
      case .int8: "\(array(of: Int8.self))"
      case .uint64: "\(array(of: UInt64.self))"
      case .uint32: "\(array(of: UInt32.self))"
      case .uint16: "\(array(of: UInt16.self))"
      case .uint8, .bool: "\(bytes)"
      }
    return "\(type) \(shape) \(elements)"
  }
}

/// One node, made and run by itself.
struct SingleOperator {
  var node: GraphNode

  init(
    _ opType: String, domain: String = "", opset: Int = OperatorRegistry.newest, outputs: Int = 1,
    _ attributes: [String: AttributeValue] = [:]
  ) {
    node = GraphNode(
      name: "node", opType: opType, domain: domain, opset: opset, inputs: [], outputs: (0..<outputs).map { "y\($0)" },
      attributes: attributes)
  }

  /// Makes the operator for `inputs`, nil for an absent one, and runs it `times`; the constants among the inputs are
  /// known when it is made. Returns the outputs of the last run.
  func callAsFunction(
    _ inputs: Value?..., constants: Set<Int> = [], isPlanning: Bool = false
  ) throws -> [Value] {
    try run(inputs, constants: constants, isPlanning: isPlanning)
  }

  func run(
    _ inputs: [Value?], constants: Set<Int> = [], times: Int = 1, isPlanning: Bool = false
  ) throws -> [Value] {
    var node = node
    node.inputs = inputs.indices.map { inputs[$0] == nil ? "" : "x\($0)" }
    let tensors = inputs.map { $0?.constant }
    let context = PlanningContext(
      inputs: inputs.indices.map { index in
        guard let value = inputs[index], let tensor = tensors[index] else { return nil }
        return PlanningContext.Input(
          type: value.type, shape: tensor.shape, constant: constants.contains(index) ? tensor : nil)
      }, outputCount: node.outputs.count)
    let made = try OperatorRegistry.makeOperator(node, context: context)

    var slots = [TensorSlot](repeating: .empty, count: inputs.count + node.outputs.count)
    for (index, tensor) in tensors.enumerated() {
      if let tensor { slots[index].alias(tensor.type, tensor.shape, at: tensor.memory) }
    }
    let inputSlots = inputs.indices.map { inputs[$0] == nil ? Int32(-1) : Int32($0) }
    let outputSlots = node.outputs.indices.map { Int32(inputs.count + $0) }
    let texts = TextHeap()
    let temporary = TemporaryMemory()
    let budget = UnsafeMutablePointer<Int>.allocate(capacity: 1)
    budget.initialize(to: EngineScratch.maximumBytes)
    defer { budget.deallocate() }
    return try withExtendedLifetime((tensors, texts, temporary, made)) {
      try slots.withUnsafeMutableBufferPointer { slots in
        defer { for index in slots.indices { slots[index].free() } }
        try inputSlots.withUnsafeBufferPointer { inputSlots in
          try outputSlots.withUnsafeBufferPointer { outputSlots in
            let nowhere = UnsafePointer<Int32>(bitPattern: 4)!
            let run = RunContext(
              slots: slots.baseAddress!, inputs: inputSlots.baseAddress ?? nowhere,
              outputs: outputSlots.baseAddress ?? nowhere, inputCount: inputSlots.count,
              outputCount: outputSlots.count, texts: .passUnretained(texts), temporary: .passUnretained(temporary),
              budget: budget, isPlanning: isPlanning)
            for _ in 0..<times {
              texts.reset()
              temporary.reset()
              try made.run(run)
            }
          }
        }
        return node.outputs.indices.map { Self.value(slots[inputs.count + $0]) }
      }
    }
  }

  private static func value(_ slot: TensorSlot) -> Value {
    var slot = slot
    return withUnsafeMutablePointer(to: &slot) { pointer in
      let tensor = Tensor(slot: pointer)
      if tensor.type == .text {
        return Value(
          texts: (0..<tensor.count).map { tensor.texts[$0].string }, tensor.shape.dimensions)
      }
      return Value(
        tensor.type, tensor.shape.dimensions,
        bytes: Array(UnsafeRawBufferPointer(start: tensor.bytes, count: tensor.byteCount)))
    }
  }

  /// The first output.
  func first(_ inputs: Value?..., constants: Set<Int> = []) throws -> Value {
    try run(inputs, constants: constants)[0]
  }

  /// The message with which the operator is refused, when it is made or when it runs.
  func refusal(_ inputs: Value?..., constants: Set<Int> = []) -> String? {
    do {
      _ = try run(inputs, constants: constants)
      return nil
    } catch let error as ModelError {
      return error.message
    } catch let error as Status {
      return error.code == .invalidArgument ? error.message : nil
    } catch {
      return nil
    }
  }
}
