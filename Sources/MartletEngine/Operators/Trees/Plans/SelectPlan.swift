import CKernels

/// 64 rows side by side, one byte for each: a node is one comparison of codes and one choice between what its two
/// children came to. For batches; trees of at most 256 leaves.
final class SelectPlan<Value: TreeValue>: TreePlan<Value>, @unchecked Sendable {
  // `@unchecked Sendable`: as the base class says; the tables are written by `init` only.
  private let memory = PlanMemory()
  private let plan: UnsafePointer<martlet_select_plan>
  private let targets: Int
  private let scored: [Int]

  override class var kind: String { "select" }

  required convenience init?(_ ensemble: TreeEnsemble<Value>, _ aggregate: TreeAggregate) {
    self.init(ensemble, aggregate, level: martlet_cpu_level())
  }

  /// `level` is the processor's that kernels may use.
  init?(_ ensemble: TreeEnsemble<Value>, _ aggregate: TreeAggregate, level: Int32) {
    guard aggregate == .sum || aggregate == .average,
      let coded = Value.coded(ensemble, maximumLeaves: SelectLayout.maximumLeaves)
    else { return nil }
    targets = ensemble.targets
    scored = ensemble.scoresEveryTarget ? [] : coded.scored
    var layout = SelectLayout()
    for tree in coded.trees { layout.append(tree, coded.nodes(of: tree)) }
    guard let tables = LeafTables(coded, layout.leafPlaces) else { return nil }
    for index in layout.trees.indices { layout.trees[index].leaves = tables.leaves[index] }
    plan = memory.store([
      martlet_select_plan(
        encoder: coded.encoder(memory, level: level), trees: memory.store(layout.trees),
        tree_count: layout.trees.count, thresholds: memory.store(layout.thresholds),
        columns: memory.store(layout.columns), operands: memory.store(layout.operands),
        values: memory.store(tables.values),
        outputs: memory.store(coded.outputs), target_count: ensemble.targets)
    ])
    super.init(ensemble, aggregate)
  }

  override var bytes: Int { memory.bytes }

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
  static let maximumLeaves = 256

  var trees: [martlet_select_tree] = []
  var thresholds: [UInt32] = []
  var columns: [UInt32] = []
  var operands: [UInt16] = []
  /// For each tree the place of each leaf in its table.
  var leafPlaces: [[Int]] = []

  /// A node costs about four operations in a complete tree, which has nodes that decide nothing, and nine elsewhere.
  private static func isComplete(_ tree: (depth: Int, nodes: Int)) -> Bool {
    (1...8).contains(tree.depth) && ((1 << tree.depth) - 1) * 4 <= tree.nodes * 9
  }

  mutating func append<Value>(
    _ tree: CodedTrees<Value>.Tree, _ nodes: ArraySlice<CodedTrees<Value>.Node>
  ) {
    let shape = nodes.map { Shape(column: $0.column, threshold: $0.threshold, low: $0.low, high: $0.high) }
    let isComplete = Self.isComplete((tree.depth, tree.nodes))
    trees.append(
      .init(
        leaves: martlet_leaves(), depth: isComplete ? UInt32(tree.depth) : 0,
        nodes: UInt32(isComplete ? (1 << tree.depth) - 1 : tree.nodes), first_node: UInt32(thresholds.count),
        first_operand: UInt32(operands.count)))
    if isComplete {
      var places = [Int](repeating: 0, count: tree.leaves)
      appendComplete(shape, 0, depth: tree.depth, firstLeaf: 0, &places)
      leafPlaces.append(places)
    } else {
      appendNodes(shape)
      leafPlaces.append(Array(0..<tree.leaves))
    }
  }

  /// A node without the type of its ensemble's values.
  private struct Shape {
    var column: Int32
    var threshold: UInt8
    var low: Int32
    var high: Int32
  }

  private mutating func append(_ node: Shape) {
    thresholds.append(UInt32(node.threshold) * 0x0101_0101)
    columns.append(UInt32(node.column) * 64)
  }

  /// Appends the complete sub-tree of `depth` levels below `place`, which may be a leaf already. At most 8 deep.
  private mutating func appendComplete(
    _ nodes: [Shape], _ place: Int32, depth: Int, firstLeaf: Int, _ places: inout [Int]
  ) {
    guard depth > 0 else {
      places[Int(~place)] = firstLeaf
      return
    }
    // Where a leaf lies higher than the others, nodes that are never high lead to it.
    let node = place >= 0 ? nodes[Int(place)] : Shape(column: 0, threshold: 255, low: place, high: place)
    let half = 1 << (depth - 1)
    if depth == 8 {
      // Four sub-trees of depth 6 come first, then the two levels above them.
      let children = [node.low, node.high].map { child in
        child >= 0 ? nodes[Int(child)] : Shape(column: 0, threshold: 255, low: child, high: child)
      }
      for (index, child) in children.enumerated() {
        appendComplete(nodes, child.low, depth: 6, firstLeaf: firstLeaf + 128 * index, &places)
        appendComplete(nodes, child.high, depth: 6, firstLeaf: firstLeaf + 128 * index + 64, &places)
      }
      for child in children { append(child) }
      append(node)
      for (index, child) in [node.low, node.high].enumerated() where child < 0 {
        places[Int(~child)] = firstLeaf + 128 * index
      }
      return
    }
    appendComplete(nodes, node.low, depth: depth - 1, firstLeaf: firstLeaf, &places)
    appendComplete(nodes, node.high, depth: depth - 1, firstLeaf: firstLeaf + half, &places)
    append(node)
    // A padded node's leaf is the one at its low end.
    if place < 0 { places[Int(~place)] = firstLeaf }
  }

  private mutating func appendNodes(_ nodes: [Shape]) {
    for place in nodes.indices.reversed() {
      append(nodes[place])
      for child in [nodes[place].low, nodes[place].high] {
        // Nodes come in reverse, so a child's result is there before its parent asks for it.
        operands.append(UInt16(64 * (child < 0 ? Int(~child) : 256 + nodes.count - 1 - Int(child))))
      }
    }
  }
}
