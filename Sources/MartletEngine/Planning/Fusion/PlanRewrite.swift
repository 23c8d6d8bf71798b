import MartletCore

/// A rewriting of a plan's steps into fewer or faster ones that give the same bits.
protocol PlanRewrite: SendableMetatype {
  /// Returns the steps to run in place of `items`, or nil when nothing changes.
  static func apply(_ items: [StepList.Item], _ context: RewriteContext) -> [StepList.Item]?
}

/// What a rewriting may know of the graph that the steps came from.
struct RewriteContext {
  let run: PlanningRun
  /// The values of a run with one row, by slot; those of `run` are of `GraphPlanner.trialRows` rows.
  let oneRow: EngineScratch
  /// Slots of the graph's outputs.
  let outputs: Set<Int>
  let movements: Movement

  init(run: PlanningRun, oneRow: EngineScratch, outputs: Set<Int>) {
    self.run = run
    self.oneRow = oneRow
    self.outputs = outputs
    movements = Movement(run)
  }

  /// The dimensions behind the rows of the value in `slot`, or nil when its first dimension is not the rows.
  func tail(_ slot: Int) -> [Int]? {
    let many = run.scratch.slots[slot].shape
    let one = oneRow.slots[slot].shape
    guard many.rank > 0, one.rank == many.rank, many[0] == GraphPlanner.trialRows, one[0] == 1 else { return nil }
    let tail = Array(many.dimensions.dropFirst())
    return Array(one.dimensions.dropFirst()) == tail ? tail : nil
  }

  func type(_ slot: Int) -> ElementType { run.scratch.slots[slot].type }

  func node(_ item: StepList.Item) -> GraphNode? { item.node < 0 ? nil : run.graph.nodes[item.node] }
}

/// All rewritings, in the order in which they are applied.
enum PlanRewrites {
  static let all: [any PlanRewrite.Type] = [
    ViewRewrite.self, TreeCastRewrite.self, EncodingRewrite.self, DenseLayerRewrite.self,
  ]

  /// The steps after all rewritings; nil when none found anything to do.
  static func apply(_ items: [StepList.Item], _ context: RewriteContext) -> [StepList.Item]? {
    var current: [StepList.Item]?
    for rewrite in all {
      if let next = rewrite.apply(current ?? items, context) { current = next }
    }
    return current
  }
}
