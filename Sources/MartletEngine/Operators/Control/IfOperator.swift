import MartletCore

/// `If`: the outputs of one of two graphs, which a truth value chooses for all rows.
///
/// What the branches read of the graph around them comes as inputs behind the condition.
final class IfOperator: Operator {
  private enum Branch {
    case planned(NestedGraph)
    /// One that could not be planned on the made-up rows, which do not take it.
    case refused(String)
  }

  private let whenTrue: Branch
  private let whenFalse: Branch

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    // Those behind the condition are names of the graph around, so none may be absent.
    let count = max(1, context.inputCount)
    try context.requireInputs(count...count, of: node)
    _ = try context.type(0, of: node, among: [.bool])
    let fixed = context.constant(0)
    guard fixed == nil || fixed?.count == 1 else { throw node.error("input 0 (cond) is not one truth value") }
    let given = context.inputs.dropFirst().map { input in
      let input = input.unsafelyUnwrapped
      return (type: input.type, shape: input.shape, bytes: input.bytes, constant: input.constant)
    }
    // What the planning run takes; a condition that is not one value fails there.
    let condition = context.inputs[0].unsafelyUnwrapped
    let taken = condition.shape.elements == 1 && condition.bytes.load(as: UInt8.self) != 0
    func branch(_ name: String, isTaken: Bool) throws(ModelError) -> Branch {
      let graph = try node.graph(name)
      if !isTaken, fixed != nil { return .refused("a constant condition never takes it") }
      try graph.checkOperators()
      do throws(ModelError) {
        let nested = try NestedGraph(node, graph, given: given, context: context)
        guard nested.outputs.count == context.outputCount else {
          throw node.error(
            attribute: name, "has \(nested.outputs.count) outputs, the node \(context.outputCount)")
        }
        return .planned(nested)
      } catch {
        if isTaken { throw error }
        return .refused(error.message)
      }
    }
    whenTrue = try branch("then_branch", isTaken: taken)
    whenFalse = try branch("else_branch", isTaken: !taken)
  }

  func run(_ context: RunContext) throws(Status) {
    let condition = context.input(0)
    guard condition.count == 1 else {
      throw Status(.invalidArgument, "the condition has the shape \(condition.shape), expected one truth value")
    }
    let nested: NestedGraph
    switch condition.bools[0] != 0 ? whenTrue : whenFalse {
    case .planned(let graph): nested = graph
    case .refused(let problem):
      throw Status(.invalidArgument, "the branch that the condition chooses could not be planned: \(problem)")
    }
    let memory = nested.take()
    defer { nested.give(memory) }
    let slots = memory.scratch.slots
    for (index, slot) in nested.inputs.enumerated() where slot >= 0 {
      let outer = context.input(1 + index)
      slots[slot].alias(outer.type, outer.shape, at: outer.bytes)
    }
    try nested.run(memory, context)
    for (index, slot) in nested.outputs.enumerated() where context.wants(index) {
      let made = Tensor(slot: slots + slot)
      let result = try context.output(index, made.type, made.shape)
      result.bytes.copyMemory(from: made.bytes, byteCount: made.byteCount)
    }
  }
}

extension Graph {
  /// Errors: an operator that is not supported, here or in a graph inside.
  fileprivate func checkOperators() throws(ModelError) {
    for node in nodes {
      _ = try OperatorRegistry.entry(for: node)
      for case .graph(let inner) in node.attributes.values { try inner.checkOperators() }
    }
  }
}
