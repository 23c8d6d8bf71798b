import MartletCore
import Synchronization

/// A graph inside an operator, the body of a `Scan` or a branch of an `If`: planned once with the operator, run with
/// memory of its own.
///
/// Its inputs are the operator's, in their order; those that do not depend on the rows are constants inside as well.
final class NestedGraph: Sendable {
  /// What a run needs beside the operator's inputs; used by one run at a time.
  struct Memory: @unchecked Sendable {
    // `@unchecked Sendable`: handed from the pool to one run, and back when it ends.
    let scratch: EngineScratch
  }

  let label: String
  /// Slots of the inputs; -1 for those that are constants.
  let inputs: [Int]
  /// Slots of the outputs.
  let outputs: [Int]
  let outputTypes: [ElementType]
  /// Shapes of the outputs in the planning run.
  let outputShapes: [Shape]
  /// The first of the slots that the caller may use as it likes.
  let spare: Int
  private let steps: StepList
  private let slotCount: Int
  private let constants: [Constant]
  private let pool = Mutex<[Memory]>([])

  private struct Constant: Sendable {
    var slot: Int
    var tensor: ConstantTensor
  }

  /// Plans `graph` on the tensors that the operator has in its planning run.
  ///
  /// - Parameters:
  ///   - given: for each input its tensor, or a part of it, and its value when it does not depend on the rows.
  ///   - spare: how many more slots a run has.
  init(
    _ node: GraphNode, _ graph: Graph,
    given: [(
      type: ElementType, shape: Shape, bytes: UnsafeRawPointer,
      constant: ConstantTensor?
    )], spare: Int = 0, context: PlanningContext
  ) throws(ModelError) {
    guard graph.inputs.count == given.count else {
      throw node.error("its graph has \(graph.inputs.count) inputs, the node gives \(given.count)")
    }
    var inner = graph
    var variable: [Int] = []
    inner.inputs = []
    for (index, input) in graph.inputs.enumerated() {
      if let constant = given[index].constant {
        inner.initializers[input.name] = constant
      } else {
        variable.append(index)
        inner.inputs.append(input)
      }
    }
    let order: GraphOrder
    let run: PlanningRun
    do {
      order = try GraphOrder(inner)
      run = try PlanningRun(
        inner, order, inputs: variable.map { (type: given[$0].type, shape: given[$0].shape) }, trees: context.trees,
        budget: PlanningRun.nestedBudget
      ) { index, tensor, _ in
        tensor.bytes.copyMemory(from: given[variable[index]].bytes, byteCount: tensor.byteCount)
      }
    } catch {
      throw node.error("in its graph, \(error.message)")
    }
    guard order.outputs.count == graph.outputs.count else {
      throw node.error("its graph has a sequence of tensors among its outputs, which is not supported")
    }
    label = node.label
    var slots = [Int](repeating: -1, count: given.count)
    for (slot, index) in variable.enumerated() { slots[index] = slot }
    inputs = slots
    outputs = order.outputs.map { run.slot(of: $0.value) }
    outputTypes = order.outputs.map { run.tensor($0.value).type }
    outputShapes = order.outputs.map { run.tensor($0.value).shape }
    steps = StepList(run.items)
    self.spare = run.slotCount
    slotCount = run.slotCount + spare
    let shown = order.outputs.compactMap { output in
      run.constant(output.value).map { Constant(slot: run.slot(of: output.value), tensor: $0) }
    }
    constants = run.usedConstants.map { Constant(slot: $0.slot, tensor: $0.tensor) } + shown
  }

  func take() -> Memory {
    if let memory = pool.withLock({ $0.popLast() }) { return memory }
    return Memory(scratch: EngineScratch(slots: slotCount, constants: constants.map { ($0.slot, $0.tensor) }))
  }

  /// Takes back what a run has used.
  func give(_ memory: Memory) { pool.withLock { $0.append(memory) } }

  /// Runs the steps; the caller has made the slots of the inputs tensors.
  func run(_ memory: Memory, _ context: RunContext) throws(Status) {
    try steps.run(memory.scratch, texts: context.texts.takeUnretainedValue(), isPlanning: context.isPlanning)
  }
}

extension GraphNode {
  /// The attribute `name` as a graph.
  func graph(_ name: String) throws(ModelError) -> Graph {
    switch attributes[name] {
    case .graph(let graph)?: return graph
    case nil: throw error(attribute: name, "is missing")
    case let value?: throw error(attribute: name, "is \(value.kind), expected a graph")
    }
  }
}
