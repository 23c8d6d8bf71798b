import MartletCore

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A question about two values of one type.
protocol ComparisonFunction: SendableMetatype {
  static func apply<T: Comparable>(_ a: T, _ b: T) -> Bool
  /// The kernel for elements of `type`; a requirement, so that it is made by code that is specialized for the function.
  static func kernel(for type: ElementType) -> BinaryKernel?
}

extension ComparisonFunction {
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
    case .uint8, .bool: kernel(of: UInt8.self)
    case .float16, .text: nil
    }
  }

  private static func kernel<T: NumericElement>(of type: T.Type) -> BinaryKernel {
    { (broadcast, a, b, result) throws(Status) in
      broadcast.map(a.pointer(as: T.self), b.pointer(as: T.self), to: result.bools) { apply($0, $1) ? 1 : 0 }
    }
  }
}

enum IsLess: ComparisonFunction {
  static func apply<T: Comparable>(_ a: T, _ b: T) -> Bool { a < b }
}

enum IsLessOrEqual: ComparisonFunction {
  static func apply<T: Comparable>(_ a: T, _ b: T) -> Bool { a <= b }
}

enum IsGreater: ComparisonFunction {
  static func apply<T: Comparable>(_ a: T, _ b: T) -> Bool { a > b }
}

enum IsGreaterOrEqual: ComparisonFunction {
  static func apply<T: Comparable>(_ a: T, _ b: T) -> Bool { a >= b }
}

enum IsEqual: ComparisonFunction {
  static func apply<T: Comparable>(_ a: T, _ b: T) -> Bool { a == b }
}

/// `Less`, `LessOrEqual`, `Greater` and `GreaterOrEqual`: an order of numbers, broadcast; false for what is not a
/// number.
final class ComparisonOperator<Function: ComparisonFunction>: Operator {
  private let kernel: BinaryKernel

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(2...2, of: node)
    let type = try context.type(0, of: node, among: ElementType.numbers)
    _ = try context.type(1, of: node, among: [type])
    guard let kernel = Function.kernel(for: type) else {
      throw node.error("elements of type \(type) are not supported")
    }
    self.kernel = kernel
  }

  func run(_ context: RunContext) throws(Status) {
    let a = context.input(0)
    let b = context.input(1)
    let broadcast = try Broadcast(a.shape, b.shape)
    try kernel(broadcast, a, b, try context.output(0, .bool, broadcast.shape))
  }
}

/// `Equal`: numbers, truth values or texts, broadcast.
final class EqualOperator: Operator {
  private let kernel: BinaryKernel

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(2...2, of: node)
    let type = try context.type(0, of: node, among: ElementType.numbers + [.bool, .text])
    _ = try context.type(1, of: node, among: [type])
    if type == .text {
      kernel = { (broadcast, a, b, result) throws(Status) in
        broadcast.map(a.texts, b.texts, to: result.bools) { $0.hasSameBytes(as: $1) ? 1 : 0 }
      }
    } else {
      guard let kernel = IsEqual.kernel(for: type) else {
        throw node.error("elements of type \(type) are not supported")
      }
      self.kernel = kernel
    }
  }

  func run(_ context: RunContext) throws(Status) {
    let a = context.input(0)
    let b = context.input(1)
    let broadcast = try Broadcast(a.shape, b.shape)
    try kernel(broadcast, a, b, try context.output(0, .bool, broadcast.shape))
  }
}

extension TextRef {
  func hasSameBytes(as other: TextRef) -> Bool {
    guard count == other.count else { return false }
    guard count > 0, let a = start, let b = other.start else { return true }
    return memcmp(a, b, count) == 0
  }
}
