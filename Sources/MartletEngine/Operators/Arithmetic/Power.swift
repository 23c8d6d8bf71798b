import MartletCore

/// `Pow`: a base to an exponent, broadcast; the result has the base's type.
///
/// From version 12 the exponent may be of another type. Whole numbers are computed as 64-bit real numbers and
/// truncated, as ONNX Runtime does. Real exponents 2 and 3 that are the same for all elements are products.
final class PowOperator: Operator {
  private let type: ElementType
  private let exponentType: ElementType

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(2...2, of: node)
    let allowed: [ElementType] = node.opset < 12 ? ElementType.floats : [.float32, .float64, .int32, .int64]
    type = try context.type(0, of: node, among: allowed)
    exponentType = try context.type(1, of: node, among: node.opset < 12 ? [type] : ElementType.numbers)
  }

  func run(_ context: RunContext) throws(Status) {
    let base = context.input(0)
    let exponent = context.input(1)
    let broadcast = try Broadcast(base.shape, exponent.shape)
    let result = try context.output(0, type, broadcast.shape)
    switch type {
    case .float32: Self.real(broadcast, base, exponent, result, Float.self)
    case .float64: Self.real(broadcast, base, exponent, result, Double.self)
    case .int32: Self.whole(broadcast, base, exponent, result, Int32.self)
    default: Self.whole(broadcast, base, exponent, result, Int64.self)
    }
  }

  private static func real<T: FloatElement>(
    _ broadcast: borrowing Broadcast, _ base: Tensor, _ exponent: Tensor, _ result: Tensor, _: T.Type
  ) {
    if exponent.count == 1 {
      let scalar = T(converting: exponent.double(at: 0))
      let from = base.pointer(as: T.self)
      let to = result.pointer(as: T.self)
      let count = result.count
      if scalar == 2 {
        for i in 0..<count { to[i] = from[i] * from[i] }
      } else if scalar == 3 {
        for i in 0..<count { to[i] = from[i] * from[i] * from[i] }
      } else {
        for i in 0..<count { to[i] = T.power(from[i], scalar) }
      }
      return
    }
    if exponent.type == result.type {
      broadcast.map(base.pointer(as: T.self), exponent.pointer(as: T.self), to: result.pointer(as: T.self)) {
        T.power($0, $1)
      }
      return
    }
    let step = broadcast.step
    broadcast.forEachRun { count, start, operands in
      for i in 0..<count {
        let x = base.pointer(as: T.self)[operands.a + i * step.a].asDouble
        result.pointer(as: T.self)[start + i] = T(
          converting: Double.power(x, exponent.double(at: operands.b + i * step.b)))
      }
    }
  }

  private static func whole<T: NumericElement>(
    _ broadcast: borrowing Broadcast, _ base: Tensor, _ exponent: Tensor, _ result: Tensor, _: T.Type
  ) {
    let from = base.pointer(as: T.self)
    let to = result.pointer(as: T.self)
    let step = broadcast.step
    broadcast.forEachRun { count, start, operands in
      for i in 0..<count {
        let power = exponent.double(at: operands.b + i * step.b)
        let x = from[operands.a + i * step.a]
        if power == 2 {
          to[start + i] = T.product(x, x)
        } else if power == 3 {
          to[start + i] = T.product(T.product(x, x), x)
        } else {
          to[start + i] = T(converting: Double.power(x.asDouble, power))
        }
      }
    }
  }
}

extension Tensor {
  /// Element `index` of a tensor of numbers as a 64-bit real number.
  func double(at index: Int) -> Double {
    switch type {
    case .float64: pointer(as: Double.self)[index]
    case .float32: Double(pointer(as: Float.self)[index])
    case .float16: Double(pointer(as: Float16.self)[index])
    case .int64: Double(pointer(as: Int64.self)[index])
    case .int32: Double(pointer(as: Int32.self)[index])
    case .int16: Double(pointer(as: Int16.self)[index])
    case .int8: Double(pointer(as: Int8.self)[index])
    case .uint64: Double(pointer(as: UInt64.self)[index])
    case .uint32: Double(pointer(as: UInt32.self)[index])
    case .uint16: Double(pointer(as: UInt16.self)[index])
    case .uint8, .bool: Double(pointer(as: UInt8.self)[index])
    case .text: 0
    }
  }
}
