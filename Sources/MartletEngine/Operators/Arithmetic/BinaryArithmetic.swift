import MartletCore

/// Computes a result from two tensors over a broadcast; the tensors' types are those it was made for.
///
/// Errors: INVALID_ARGUMENT for a value that the function refuses; the result is complete all the same.
typealias BinaryKernel =
  @Sendable (_ broadcast: borrowing Broadcast, _ a: Tensor, _ b: Tensor, _ result: Tensor) throws(Status) -> Void

/// A function of two numbers of one type.
protocol ArithmeticFunction: SendableMetatype {
  static func apply<T: NumericElement>(_ a: T, _ b: T) -> T
  /// Whether the function divides whole numbers, which a divisor of 0 makes impossible.
  static var divides: Bool { get }
  /// The kernel for elements of `type`; a requirement, so that it is made by code that is specialized for the function.
  static func kernel(for type: ElementType) -> BinaryKernel?
}

extension ArithmeticFunction {
  static var divides: Bool { false }

  static func kernel(for type: ElementType) -> BinaryKernel? {
    switch type {
    case .float32: kernel(of: Float.self)
    case .float64: kernel(of: Double.self)
    case .int64: kernel(of: Int64.self)
    case .int32: kernel(of: Int32.self)
    case .int16: kernel(of: Int16.self)
    case .int8: kernel(of: Int8.self)
    case .uint64: kernel(of: UInt64.self)
    case .uint32: kernel(of: UInt32.self)
    case .uint16: kernel(of: UInt16.self)
    case .uint8: kernel(of: UInt8.self)
    case .bool, .float16, .text: nil
    }
  }

  private static func kernel<T: NumericElement>(of type: T.Type) -> BinaryKernel {
    { (broadcast, a, b, result) throws(Status) in
      let second = b.pointer(as: T.self)
      broadcast.map(a.pointer(as: T.self), second, to: result.pointer(as: T.self)) { apply($0, $1) }
      guard divides, !T.isFloatingPoint else { return }
      for i in 0..<b.count where second[i] == 0 {
        throw Status(.invalidArgument, "a whole number is divided by zero")
      }
    }
  }
}

enum Addition: ArithmeticFunction {
  static func apply<T: NumericElement>(_ a: T, _ b: T) -> T { T.sum(a, b) }
}

enum Subtraction: ArithmeticFunction {
  static func apply<T: NumericElement>(_ a: T, _ b: T) -> T { T.difference(a, b) }
}

enum Multiplication: ArithmeticFunction {
  static func apply<T: NumericElement>(_ a: T, _ b: T) -> T { T.product(a, b) }
}

enum Division: ArithmeticFunction {
  static var divides: Bool { true }
  static func apply<T: NumericElement>(_ a: T, _ b: T) -> T { T.quotient(a, b) }
}

enum TruncatedRemainder: ArithmeticFunction {
  static var divides: Bool { true }
  static func apply<T: NumericElement>(_ a: T, _ b: T) -> T { T.truncatedRemainder(a, b) }
}

enum FlooredRemainder: ArithmeticFunction {
  static var divides: Bool { true }
  static func apply<T: NumericElement>(_ a: T, _ b: T) -> T { T.flooredRemainder(a, b) }
}

enum Minimum: ArithmeticFunction {
  /// Not a number when either is, as ONNX Runtime has it.
  static func apply<T: NumericElement>(_ a: T, _ b: T) -> T {
    // Two selections instead of one condition of two parts: those become branches, these vector instructions.
    let lesser = a < b ? a : b
    return a.isNotANumber ? a : lesser
  }
}

enum Maximum: ArithmeticFunction {
  /// Not a number when either is, as ONNX Runtime has it.
  static func apply<T: NumericElement>(_ a: T, _ b: T) -> T {
    let greater = a > b ? a : b
    return a.isNotANumber ? a : greater
  }
}

/// `Add`, `Sub`, `Mul` and `Div`: one function of two numbers, broadcast.
final class BinaryArithmeticOperator<Function: ArithmeticFunction>: Operator {
  private let type: ElementType
  private let kernel: BinaryKernel

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    (type, kernel) = try node.binaryKernel(context, Function.self)
  }

  func run(_ context: RunContext) throws(Status) {
    let a = context.input(0)
    let b = context.input(1)
    let broadcast = try Broadcast(a.shape, b.shape)
    let result = try context.output(0, type, broadcast.shape)
    try context.refusing { () throws(Status) in try kernel(broadcast, a, b, result) }
  }
}

/// `Mod`: the remainder of a division, of the sign of the divisor or, with `fmod`, of the dividend.
///
/// Before version 28 real numbers need `fmod`.
final class ModOperator: Operator {
  private let type: ElementType
  private let kernel: BinaryKernel

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    if try node.flag("fmod", default: false) {
      (type, kernel) = try node.binaryKernel(context, TruncatedRemainder.self)
    } else {
      (type, kernel) = try node.binaryKernel(context, FlooredRemainder.self)
      if ElementType.floats.contains(type), node.opset < 28 {
        throw node.error(attribute: "fmod", "is 0, expected 1 for elements of type \(type)")
      }
    }
  }

  func run(_ context: RunContext) throws(Status) {
    let a = context.input(0)
    let b = context.input(1)
    let broadcast = try Broadcast(a.shape, b.shape)
    let result = try context.output(0, type, broadcast.shape)
    try context.refusing { () throws(Status) in try kernel(broadcast, a, b, result) }
  }
}

extension GraphNode {
  /// The type that both inputs have and the kernel that computes `function` on it.
  func binaryKernel<Function: ArithmeticFunction>(
    _ context: PlanningContext, _ function: Function.Type
  ) throws(ModelError) -> (ElementType, BinaryKernel) {
    try context.requireInputs(2...2, of: self)
    let type = try context.type(0, of: self, among: ElementType.numbers)
    _ = try context.type(1, of: self, among: [type])
    guard let kernel = Function.kernel(for: type) else { throw error("elements of type \(type) are not supported") }
    return (type, kernel)
  }
}
