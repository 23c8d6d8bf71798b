import MartletCore

/// A graph executed once, node by node, while its operators are made: so planning knows the types that every call
/// will see, folds what does not depend on the rows, and finds out early what does not work.
final class PlanningRun {
  let graph: Graph
  let order: GraphOrder
  /// Memory of the run; a slot for each value.
  let scratch: EngineScratch
  let texts = TextHeap()
  let trees: TreePlanning
  /// The operators that depend on the rows.
  private(set) var items: [StepList.Item] = []
  /// Values that do not depend on the rows, by slot.
  private(set) var constants: [Int: ConstantTensor] = [:]
  private let slots: [String: Int]
  private let producers: [String: Int]
  /// Values that a node or an output of the graph reads.
  private let used: Set<String>

  /// Memory of a planning run beside the model's own constants.
  static let budget = 16 << 20
  /// The same for a graph inside a node: graphs may lie in each other.
  static let nestedBudget = 1 << 20

  /// Reserves each input as a tensor of the type and shape that `inputs` gives and lets `fill` write it, then runs.
  init(
    _ graph: Graph, _ order: GraphOrder, inputs: [(type: ElementType, shape: Shape)],
    trees: TreePlanning = TreePlanning(PlanningOptions(measuringNanoseconds: 0)), budget: Int = PlanningRun.budget,
    fill: (Int, Tensor, TextHeap) -> Void
  ) throws(ModelError) {
    self.graph = graph
    self.order = order
    self.trees = trees
    var slots: [String: Int] = [:]
    var producers: [String: Int] = [:]
    var constants: [Int: ConstantTensor] = [:]
    for input in graph.inputs { slots[input.name] = slots.count }
    func add(_ name: String) {
      guard !name.isEmpty, slots[name] == nil else { return }
      let slot = slots.count
      slots[name] = slot
      constants[slot] = graph.initializers[name]
    }
    for index in order.nodes {
      graph.nodes[index].inputs.forEach(add)
      graph.nodes[index].outputs.forEach(add)
      for output in graph.nodes[index].outputs where !output.isEmpty { producers[output] = index }
    }
    for output in order.outputs { add(output.value) }
    used = Set(order.nodes.flatMap { graph.nodes[$0].inputs }).union(order.outputs.map(\.value))
    self.slots = slots
    self.producers = producers
    self.constants = constants
    let constantBytes = constants.values.reduce(0) { $0 + $1.count * $1.type.byteWidth }
    scratch = EngineScratch(
      slots: slots.count, constants: constants.map { (slot: $0.key, tensor: $0.value) },
      budget: budget + 2 * constantBytes)
    for (index, input) in inputs.enumerated() {
      scratch.slots[index].reserve(input.type, input.shape)
      fill(index, Tensor(slot: scratch.slots + index), texts)
    }
    for index in order.nodes { try run(index) }
  }

  private func run(_ index: Int) throws(ModelError) {
    let node = graph.nodes[index]
    let inputs = node.inputs.map { $0.isEmpty ? -1 : Int32(slots[$0]!) }
    let outputs = node.outputs.map { used.contains($0) && !$0.isEmpty ? Int32(slots[$0]!) : -1 }
    let context = PlanningContext(
      inputs: inputs.map { slot in
        guard slot >= 0 else { return nil }
        let tensor = scratch.slots[Int(slot)]
        return PlanningContext.Input(
          type: tensor.type, shape: tensor.shape, constant: constants[Int(slot)], bytes: UnsafeRawPointer(tensor.base))
      }, outputCount: outputs.count, trees: trees)
    // What steps make may come as codes of categories.
    trees.isPostponing = trees.mayPostpone && inputs.contains { Int($0) >= graph.inputs.count }
    defer { trees.isPostponing = false }
    let item = StepList.Item(
      run: try OperatorRegistry.makeOperator(node, context: context), label: node.label, node: index,
      inputs: inputs, outputs: outputs)
    do {
      try StepList([item]).run(scratch, texts: texts, isPlanning: true)
    } catch {
      throw ModelError("\(error.message) (in a trial run with made-up rows)")
    }
    if inputs.allSatisfy({ $0 < 0 || constants[Int($0)] != nil }) {
      for output in outputs where output >= 0 { fold(Int(output), inputs) }
    } else {
      items.append(item)
    }
  }

  /// Keeps the value of `slot` as a constant.
  private func fold(_ slot: Int, _ inputs: [Int32]) {
    let tensor = scratch.slots[slot]
    let same = inputs.lazy.compactMap { $0 < 0 ? nil : self.constants[Int($0)] }.first {
      $0.memory == tensor.base && $0.shape == tensor.shape && $0.type == tensor.type
    }
    let constant = same ?? ConstantTensor(copying: tensor.type, tensor.shape, from: tensor.base)
    constants[slot] = constant
    scratch.slots[slot].free()
    scratch.slots[slot].alias(constant.type, constant.shape, at: constant.memory)
  }

  /// The node that makes `value`, or nil for an input or initializer.
  func producer(of value: String) -> GraphNode? { producers[value].map { graph.nodes[$0] } }

  func slot(of value: String) -> Int { slots[value]! }

  /// The tensor in `value`'s slot; valid while the run lives.
  func tensor(_ value: String) -> Tensor { Tensor(slot: scratch.slots + slot(of: value)) }

  /// The value when it does not depend on the rows.
  func constant(_ value: String) -> ConstantTensor? { slots[value].flatMap { constants[$0] } }

  /// The constants that the remaining operators read.
  var usedConstants: [(slot: Int, tensor: ConstantTensor)] {
    let used = Set(items.flatMap(\.inputs))
    return constants.filter { used.contains(Int32($0.key)) }.map { (slot: $0.key, tensor: $0.value) }
  }

  var slotCount: Int { slots.count }
}
