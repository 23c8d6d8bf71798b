import MartletCore

/// A function of two truth values, each 0 or 1.
protocol LogicFunction: SendableMetatype {
  static func apply(_ a: UInt8, _ b: UInt8) -> UInt8
  /// The kernel; a requirement, so that it is made by code that is specialized for the function.
  static var kernel: BinaryKernel { get }
}

enum Conjunction: LogicFunction {
  static func apply(_ a: UInt8, _ b: UInt8) -> UInt8 { a & b }
}

enum Disjunction: LogicFunction {
  static func apply(_ a: UInt8, _ b: UInt8) -> UInt8 { a | b }
}

enum ExclusiveDisjunction: LogicFunction {
  static func apply(_ a: UInt8, _ b: UInt8) -> UInt8 { a ^ b }
}

extension LogicFunction {
  static var kernel: BinaryKernel {
    { (broadcast, a, b, result) throws(Status) in
      broadcast.map(a.bools, b.bools, to: result.bools) { apply($0, $1) }
    }
  }
}

/// `And`, `Or` and `Xor` of truth values, broadcast.
final class LogicOperator<Function: LogicFunction>: Operator {
  private let kernel: BinaryKernel

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(2...2, of: node)
    _ = try context.type(0, of: node, among: [.bool])
    _ = try context.type(1, of: node, among: [.bool])
    kernel = Function.kernel
  }

  func run(_ context: RunContext) throws(Status) {
    let a = context.input(0)
    let b = context.input(1)
    let broadcast = try Broadcast(a.shape, b.shape)
    try kernel(broadcast, a, b, try context.output(0, .bool, broadcast.shape))
  }
}

/// `Not`: the other truth value of every element.
final class NotOperator: Operator {
  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(1...1, of: node)
    _ = try context.type(0, of: node, among: [.bool])
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    let result = try context.output(0, .bool, input.shape)
    let from = input.bools
    let to = result.bools
    for i in 0..<result.count { to[i] = from[i] ^ 1 }
  }
}
