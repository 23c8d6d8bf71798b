import CKernels

/// 64 rows side by side, one byte for each: a node is one comparison of codes and one choice between what its two
/// children came to. For batches; trees of at most 256 leaves.
final class SelectPlan<Value: TreeValue>: TreePlan<Value>, @unchecked Sendable {
  // `@unchecked Sendable`: as the base class says; the tables are written by `init` only.
  private let tables = KernelTables()
  private let plan: UnsafePointer<martlet_select_plan>
  private let targets: Int
  private let scored: [Int]

  override class var kind: String { "select" }

  override class var block: Int { 64 }

  required convenience init?(_ ensemble: TreeEnsemble<Value>, _ aggregate: TreeAggregate) {
    self.init(PlanSource(ensemble, aggregate), level: martlet_cpu_level())
  }

  override class func make(_ source: PlanSource<Value>) -> TreePlan<Value>? {
    SelectPlan(source, level: martlet_cpu_level())
  }

  /// `level` is the processor's that kernels may use.
  init?(_ source: PlanSource<Value>, level: Int32) {
    guard let coded = source.codedSmall else { return nil }
    targets = coded.targets
    scored = source.ensemble.scoresEveryTarget ? [] : coded.scored
    var layout = SelectLayout()
    for tree in coded.trees { layout.append(tree, coded.nodes(of: tree)) }
    guard let leafTables = LeafTables(coded, layout.leafPlaces) else { return nil }
    for index in layout.trees.indices { layout.trees[index].leaves = leafTables.leaves[index] }
    plan = tables.store([
      martlet_select_plan(
        encoder: coded.encoder(tables, level: level), trees: tables.store(layout.trees),
        tree_count: layout.trees.count, thresholds: tables.store(layout.thresholds),
        columns: tables.store(layout.columns), operands: tables.store(layout.operands),
        operand_leaves: UInt32(layout.operandLeaves), values: tables.store(leafTables.values),
        outputs: tables.store(coded.outputs), target_count: coded.targets)
    ])
    super.init(source.ensemble, source.aggregate)
  }

  override var bytes: Int { tables.bytes }

  override func temporaryBytes(rows: Int) -> Int { martlet_select_bytes(plan, rows) }

  override func add(
    _ rows: UnsafePointer<Value>, stride: Int, count: Int, to scores: TreeScores<Value>,
    temporary: UnsafeMutableRawPointer
  ) {
    martlet_select(plan, rows, stride, count, scores.values, temporary)
    scores.markScored(scored, rows: count, targets: targets)
  }
}

extension TreeScores {
  /// Says that each row has a score for the targets `scored`.
  func markScored(_ scored: [Int], rows: Int, targets: Int) {
    for target in scored {
      for row in 0..<rows { isScored[row * targets + target] = true }
    }
  }
}

/// The nodes of trees in the order in which `martlet_select` takes them: children before parents.
struct SelectLayout {
  var trees: [martlet_select_tree] = []
  var thresholds: [UInt32] = []
  var columns: [UInt32] = []
  var operands: [UInt16] = []
  /// The most leaves of a tree whose nodes have operands; one with none is a leaf.
  var operandLeaves = 0
  /// For each tree the place of each leaf in its table.
  var leafPlaces: [[Int]] = []

  /// A node costs about four operations in a complete tree, which has nodes that decide nothing, and nine elsewhere.
  private static func isComplete(_ tree: CodedTree) -> Bool {
    (1...CompleteTree.maximumDepth).contains(tree.depth) && ((1 << tree.depth) - 1) * 4 <= tree.nodes * 9
  }

  mutating func append(_ tree: CodedTree, _ nodes: ArraySlice<CodedNode>) {
    let isComplete = Self.isComplete(tree)
    trees.append(
      .init(
        leaves: martlet_leaves(), depth: isComplete ? UInt32(tree.depth) : 0, nodes: UInt32(tree.nodes),
        first_node: UInt32(thresholds.count), first_operand: UInt32(operands.count)))
    if isComplete {
      let complete = CompleteTree(nodes, leaves: tree.leaves, depth: tree.depth)
      for node in complete.nodes { append(node) }
      leafPlaces.append(complete.leafPlaces)
      return
    }
    operandLeaves = max(operandLeaves, tree.leaves)
    let order = Self.lowestFirst(nodes)
    var indices = [Int](repeating: 0, count: nodes.count)
    for (index, place) in order.enumerated() {
      let node = nodes[nodes.startIndex + place]
      indices[place] = index
      append(node)
      for child in [node.low, node.high] {
        operands.append(UInt16(64 * (child < 0 ? Int(~child) : 256 + indices[Int(child)])))
      }
    }
    leafPlaces.append(Array(0..<tree.leaves))
  }

  /// Places of nodes by the levels below them: children before parents, and seldom right before, so that a node does
  /// not wait for what was just written.
  private static func lowestFirst(_ nodes: ArraySlice<CodedNode>) -> [Int] {
    var heights = [Int](repeating: 0, count: nodes.count)
    for (place, node) in nodes.enumerated().reversed() {
      heights[place] = 1 + max(node.low < 0 ? 0 : heights[Int(node.low)], node.high < 0 ? 0 : heights[Int(node.high)])
    }
    return heights.indices.sorted { (heights[$0], $0) < (heights[$1], $1) }
  }

  private mutating func append(_ node: CodedNode) {
    thresholds.append(UInt32(node.threshold) * 0x0101_0101)
    columns.append(UInt32(node.column) * 64)
  }
}
