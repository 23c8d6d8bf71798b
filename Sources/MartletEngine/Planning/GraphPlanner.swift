import MartletCore

/// Makes a plan of a graph: order, folding, a trial of what comes out, and the signature that callers see.
public enum GraphPlanner {
  /// Rows of the trial run: enough to tell the dimension of the rows from one that happens to be 1.
  static let trialRows = 3

  /// `featureNames` name the columns of wide inputs (or all columns); nil takes those of the file, or `f0`, `f1`, ….
  ///
  /// Errors: what is wrong with the graph, naming the node; also an output that depends on no row or on several, which
  /// a server that batches rows of different callers cannot serve.
  ///
  /// Takes up to `options.measuringNanoseconds` longer than the work it does: not for a thread that serves.
  public static func plan(
    _ graph: Graph, featureNames: [String]?, options: PlanningOptions = PlanningOptions()
  ) throws(ModelError) -> GraphPlan {
    try options.check()
    let order = try GraphOrder(graph)
    for index in order.nodes { _ = try OperatorRegistry.entry(for: graph.nodes[index]) }
    let names = featureNames ?? FeatureNames.inMetadata(graph.metadata)
    let inputs = try ModelInputs.inputs(graph, featureNames: names)
    let trees = TreePlanning(
      options, ensembles: order.nodes.count { graph.nodes[$0].opType.hasPrefix("TreeEnsemble") },
      mayPostpone: options.rewritesSteps)
    let run = try PlanningRun(
      graph, order, inputs: inputs.map { (type: $0.type, shape: Shape([trialRows] + $0.shape)) }, trees: trees
    ) { index, tensor, texts in
      ModelInputs.fill(tensor.bytes, inputs[index], rows: trialRows, categories: { _ in nil }, texts: texts)
    }
    let columns = try ColumnInference(run, inputs).columns(named: featureNames, orInMetadata: names)
    let steps = StepList(run.items)
    let oneRow = try self.oneRow(run, inputs, steps)
    let (outputs, layouts) = try self.outputs(run, oneRow)
    let rewritten =
      options.rewritesSteps
      ? PlanRewrites.apply(
        run.items, RewriteContext(run: run, oneRow: oneRow, outputs: Set(layouts.map(\.slot)))) : nil
    func makePlan(
      _ own: StepList, _ items: [StepList.Item], plain: StepList? = nil, _ coding: TextCoding? = nil
    ) -> GraphPlan {
      GraphPlan(
        signature: ModelSignature(inputs: inputs, outputs: outputs, columns: columns), steps: own,
        plainSteps: plain, textCoding: coding,
        inputs: inputs.enumerated().map {
          GraphPlan.InputLayout(slot: $0.offset, type: $0.element.type, shape: Shape([1] + $0.element.shape))
        },
        outputs: layouts, slots: run.slotCount, constants: run.usedConstants,
        rowsAtOnce: rowsAtOnce(run, items), ensembles: trees.reports)
    }
    var plan = makePlan(steps, run.items)
    // Asked of the file's own operators: what is rewritten may look at rows in another way.
    try checkIndependence(plan, columns)
    let (items, plain) = planned(rewritten ?? run.items, plain: run.items, trees)
    let coding =
      options.rewritesSteps ? TextCodes.coding(of: items, inputs, outputs: Set(layouts.map(\.slot))) : nil
    if rewritten != nil {
      plan = makePlan(StepList(items), items, plain: StepList(plain), coding)
    } else if coding != nil || zip(items, run.items).contains(where: { $0.run !== $1.run }) {
      plan = makePlan(StepList(items), items, coding)
    }
    plan.costCurve = PlanMeter.cost(of: plan, trees)
    return plan
  }

  /// Plans the trees that were postponed: those of `items`, and where they are the same, those of `plain`.
  private static func planned(
    _ items: [StepList.Item], plain: [StepList.Item], _ trees: TreePlanning
  ) -> (items: [StepList.Item], plain: [StepList.Item]) {
    var planned: [ObjectIdentifier: AnyOperator] = [:]
    for item in items {
      guard let step = item.run as? any PostponedTrees, step.isPostponed else { continue }
      planned[ObjectIdentifier(item.run)] = step.planned(trees)
    }
    func replaced(_ item: StepList.Item) -> StepList.Item {
      var item = item
      item.run = planned[ObjectIdentifier(item.run)] ?? item.run
      return item
    }
    return (items.map(replaced), plain.map(replaced))
  }

  /// Runs a second time with one row: what grows from one row to three is the dimension of the rows.
  private static func oneRow(
    _ run: PlanningRun, _ inputs: [ModelSignature.Input], _ steps: StepList
  ) throws(ModelError) -> EngineScratch {
    let scratch = EngineScratch(slots: run.slotCount, constants: run.usedConstants)
    let texts = TextHeap()
    for (index, input) in inputs.enumerated() {
      scratch.slots[index].reserve(input.type, Shape([1] + input.shape))
      ModelInputs.fill(
        scratch.slots[index].base, input, rows: 1, categories: { _ in nil }, texts: texts)
    }
    do {
      try steps.run(scratch, texts: texts, isPlanning: true)
    } catch {
      throw ModelError("\(error.message) (in a trial run with one made-up row)")
    }
    return scratch
  }

  private static func outputs(
    _ run: PlanningRun, _ scratch: EngineScratch
  ) throws(ModelError) -> ([ModelSignature.Output], [GraphPlan.OutputLayout]) {
    var outputs: [ModelSignature.Output] = []
    var layouts: [GraphPlan.OutputLayout] = []
    let roles = OutputInference(run)
    for binding in run.order.outputs {
      // A constant tells nothing about a row.
      if run.constant(binding.value) != nil { continue }
      let slot = run.slot(of: binding.value)
      let many = run.tensor(binding.value).shape
      let one = scratch.slots[slot].shape
      guard let axis = rowAxis(one, many), scratch.slots[slot].type == run.tensor(binding.value).type else {
        throw ModelError(
          "output '\(binding.name)' has the shape \(one) for one row and \(many) for three rows, expected a dimension "
            + "for the rows")
      }
      let type = run.tensor(binding.value).type
      layouts.append(
        GraphPlan.OutputLayout(
          slot: slot, type: type, before: one.product(0..<axis), each: one[axis],
          after: one.product((axis + 1)..<one.rank)))
      var shape = Array(one.dimensions[..<axis]) + (one[axis] == 1 ? [] : [one[axis]])
      let behind = Array(one.dimensions[(axis + 1)...])
      // Several elements a row that the model has laid out as rows of one.
      if one[axis] == 1 || behind != [1] { shape += behind }
      outputs.append(roles.output(binding, type: type, shape: shape))
    }
    guard !outputs.isEmpty else { throw ModelError("no output of the graph depends on its inputs") }
    return (roles.completed(outputs), layouts)
  }

  /// The one dimension that differs between one row and three, when it has three times as many elements.
  private static func rowAxis(_ one: Shape, _ many: Shape) -> Int? {
    guard one.rank == many.rank else { return nil }
    let different = (0..<one.rank).filter { one[$0] != many[$0] }
    guard different.count == 1, let axis = different.first, one[axis] > 0, many[axis] == one[axis] * trialRows else {
      return nil
    }
    return axis
  }

  /// At most 512 rows, fewer where a row's values are many: all values of a block should fit a second-level cache.
  private static func rowsAtOnce(_ run: PlanningRun, _ items: [StepList.Item]) -> Int {
    var bytes = 0
    var widths: [Int32: Int] = [:]
    for item in items {
      if let step = item.run as? EncodingStep { widths[item.outputs[0]] = step.rowBytes * trialRows }
    }
    for slot in Set(items.flatMap { $0.inputs + $0.outputs }) where slot >= 0 && run.constants[Int(slot)] == nil {
      bytes += widths[slot] ?? Tensor(slot: run.scratch.slots + Int(slot)).byteCount
    }
    return min(512, max(16, (512 << 10) * trialRows / max(1, bytes)))
  }

  /// Scores three rows together and each by itself: the bits must be the same.
  private static func checkIndependence(_ plan: GraphPlan, _ columns: [ModelSignature.Column]) throws(ModelError) {
    let signature = plan.signature
    let together = Tile(signature: signature, capacity: trialRows)
    let alone = Tile(signature: signature, capacity: trialRows)
    let scratch = plan.makeScratch()
    for isZero in [false, true] {
      for tile in [together, alone] {
        for (index, input) in signature.inputs.enumerated() {
          let own = columns.filter { $0.input == index }
          ModelInputs.fill(
            tile.input(index), input, rows: trialRows, categories: { own[$0].categories }, texts: tile.texts)
          guard isZero, input.type != .text else { continue }
          tile.input(index).initializeMemory(
            as: UInt8.self, repeating: 0, count: trialRows * input.width * input.type.byteWidth)
        }
        tile.rows = trialRows
      }
      do {
        try plan.score(together, rows: 0..<trialRows, scratch: scratch)
        for row in 0..<trialRows { try plan.score(alone, rows: row..<(row + 1), scratch: scratch) }
        break
      } catch {
        // A model may refuse values that it does not know, numbers of categories for example; 0 is one of most.
        guard !isZero, error.code == .invalidArgument else {
          throw ModelError("\(error.message) (in a trial run with made-up rows)")
        }
      }
    }
    for (index, output) in signature.outputs.enumerated() {
      guard equal(together, alone, index, output) else {
        throw ModelError(
          "output '\(output.name)' of a row depends on the other rows of its batch, which cannot be served")
      }
    }
  }

  private static func equal(_ a: Tile, _ b: Tile, _ index: Int, _ output: ModelSignature.Output) -> Bool {
    let count = trialRows * output.width
    if output.type == .text {
      let x = a.output(index).assumingMemoryBound(to: TextRef.self)
      let y = b.output(index).assumingMemoryBound(to: TextRef.self)
      return (0..<count).allSatisfy { x[$0].bytes.elementsEqual(y[$0].bytes) }
    }
    let bytes = count * output.type.byteWidth
    return UnsafeRawBufferPointer(start: a.output(index), count: bytes)
      .elementsEqual(UnsafeRawBufferPointer(start: b.output(index), count: bytes))
  }
}
