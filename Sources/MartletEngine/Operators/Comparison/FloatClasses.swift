import MartletCore

/// `IsNaN`: which elements are not a number.
final class IsNaNOperator: Operator {
  private let type: ElementType

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(1...1, of: node)
    type = try context.type(0, of: node, among: ElementType.floats)
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    let result = try context.output(0, .bool, input.shape)
    let count = result.count
    let to = result.bools
    if type == .float32 {
      let from = input.floats
      for i in 0..<count { to[i] = from[i].isNaN ? 1 : 0 }
    } else {
      let from = input.doubles
      for i in 0..<count { to[i] = from[i].isNaN ? 1 : 0 }
    }
  }
}

/// `IsInf`: which elements are infinite, of both signs or of one.
final class IsInfOperator: Operator {
  private let type: ElementType
  private let positive: Bool
  private let negative: Bool

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(1...1, of: node)
    type = try context.type(0, of: node, among: ElementType.floats)
    positive = try node.flag("detect_positive", default: true)
    negative = try node.flag("detect_negative", default: true)
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    let result = try context.output(0, .bool, input.shape)
    if type == .float32 {
      find(input.floats, result.bools, result.count)
    } else {
      find(input.doubles, result.bools, result.count)
    }
  }

  @inline(__always)
  private func find<T: FloatElement>(_ from: UnsafePointer<T>, _ to: UnsafeMutablePointer<UInt8>, _ count: Int) {
    for i in 0..<count {
      to[i] = (positive && from[i] == T.infinity) || (negative && from[i] == -T.infinity) ? 1 : 0
    }
  }
}
