import MartletCore

/// A function of one number of any type.
protocol NumericFunction: SendableMetatype {
  static func apply<T: NumericElement>(_ x: T) -> T
  /// The kernel for elements of `type`; a requirement, so that it is made by code that is specialized for the function.
  static func kernel(for type: ElementType) -> UnaryKernel?
}

extension NumericFunction {
  static func kernel(for type: ElementType) -> UnaryKernel? {
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

  private static func kernel<T: NumericElement>(of type: T.Type) -> UnaryKernel {
    { from, to, count in
      let x = from.assumingMemoryBound(to: T.self)
      let y = to.assumingMemoryBound(to: T.self)
      for i in 0..<count { y[i] = apply(x[i]) }
    }
  }
}

enum Negation: NumericFunction {
  static func apply<T: NumericElement>(_ x: T) -> T { T.negated(x) }
}

enum AbsoluteValue: NumericFunction {
  static func apply<T: NumericElement>(_ x: T) -> T { T.absolute(x) }
}

enum SignOfValue: NumericFunction {
  static func apply<T: NumericElement>(_ x: T) -> T { T.sign(x) }
}

/// `Neg`, `Abs` and `Sign`: a function of every element, of any type of number.
final class NumericFunctionOperator<Function: NumericFunction>: Operator {
  private let type: ElementType
  private let kernel: UnaryKernel

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(1...1, of: node)
    type = try context.type(0, of: node, among: ElementType.numbers)
    guard let kernel = Function.kernel(for: type) else {
      throw node.error("elements of type \(type) are not supported")
    }
    self.kernel = kernel
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    let result = try context.output(0, type, input.shape)
    kernel(input.bytes, result.bytes, result.count)
  }
}
