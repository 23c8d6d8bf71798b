import MartletCore

/// `Where`: elements of one tensor where the condition holds, of another where it does not; all three broadcast.
final class WhereOperator: Operator {
  private let type: ElementType

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(3...3, of: node)
    _ = try context.type(0, of: node, among: [.bool])
    type = try context.type(1, of: node, among: ElementType.allCases)
    _ = try context.type(2, of: node, among: [type])
  }

  func run(_ context: RunContext) throws(Status) {
    let condition = context.input(0)
    let x = context.input(1)
    let y = context.input(2)
    let broadcast = try Broadcast(condition.shape, x.shape, y.shape)
    let result = try context.output(0, type, broadcast.shape)
    switch type.byteWidth {
    case 1: Self.select(broadcast, condition, x, y, result, UInt8.self)
    case 2: Self.select(broadcast, condition, x, y, result, UInt16.self)
    case 4: Self.select(broadcast, condition, x, y, result, UInt32.self)
    case 8: Self.select(broadcast, condition, x, y, result, UInt64.self)
    default: Self.select(broadcast, condition, x, y, result, TextRef.self)
    }
  }

  private static func select<T: BitwiseCopyable>(
    _ broadcast: borrowing Broadcast, _ condition: Tensor, _ x: Tensor, _ y: Tensor, _ result: Tensor, _: T.Type
  ) {
    let step = broadcast.step
    broadcast.forEachRun { count, start, operands in
      let test = condition.bools + operands.a
      let yes = x.pointer(as: T.self) + operands.b
      let no = y.pointer(as: T.self) + operands.c
      let to = result.pointer(as: T.self) + start
      if step.a == 1, step.b == 1, step.c == 1 {
        for i in 0..<count { to[i] = test[i] != 0 ? yes[i] : no[i] }
      } else {
        for i in 0..<count { to[i] = test[i * step.a] != 0 ? yes[i * step.b] : no[i * step.c] }
      }
    }
  }
}
