import CKernels

/// Up to 512 rows at once, one bit for each: every distinct test is made once, and a node chooses between bits of its
/// children's leaf numbers. For large batches; trees of at most 256 leaves.
final class PlanePlan<Value: TreeValue>: TreePlan<Value>, @unchecked Sendable {
  // `@unchecked Sendable`: as the base class says; the tables are written by `init` only.
  private let tables = KernelTables()
  private let plan: UnsafePointer<martlet_plane_plan>
  private let targets: Int
  private let scored: [Int]

  override class var kind: String { "planes" }

  // The least that goes together; larger batches take up to 512 rows at once.
  override class var block: Int { martlet_cpu_level() == MARTLET_CPU_AVX512_BYTES ? 64 : 128 }

  required convenience init?(_ ensemble: TreeEnsemble<Value>, _ aggregate: TreeAggregate) {
    self.init(PlanSource(ensemble, aggregate), level: martlet_cpu_level())
  }

  override class func make(_ source: PlanSource<Value>) -> TreePlan<Value>? {
    PlanePlan(source, level: martlet_cpu_level())
  }

  /// `level` is the processor's that kernels may use.
  init?(_ source: PlanSource<Value>, level: Int32) {
    guard let coded = source.codedSmall else { return nil }
    targets = coded.targets
    scored = source.ensemble.scoresEveryTarget ? [] : coded.scored
    var layout = PlaneLayout()
    for tree in coded.trees { layout.append(tree, coded.nodes(of: tree)) }
    let isSplit = Value.self == Float.self && level == MARTLET_CPU_AVX512_BYTES
    guard layout.numberTests(columns: coded.columns),
      let leafTables = LeafTables(coded, layout.leafPlaces, isSplit: isSplit)
    else { return nil }
    for index in layout.trees.indices { layout.trees[index].leaves = leafTables.leaves[index] }
    plan = tables.store([
      martlet_plane_plan(
        encoder: coded.encoder(tables, level: level), columns: tables.store(layout.columns),
        column_count: layout.columns.count, thresholds: tables.store(layout.thresholds),
        test_count: layout.thresholds.count, trees: tables.store(layout.trees), tree_count: layout.trees.count,
        tests: tables.store(layout.tests), places: tables.store(layout.places), values: tables.store(leafTables.values),
        outputs: tables.store(coded.outputs), target_count: coded.targets,
        is_single: coded.targets == 1 && leafTables.leaves.allSatisfy { $0.outputs == 1 && $0.bits <= 6 })
    ])
    super.init(source.ensemble, source.aggregate)
  }

  override var bytes: Int { tables.bytes }

  override func temporaryBytes(rows: Int) -> Int { martlet_score_planes_bytes(plan, rows) }

  override func add(
    _ rows: UnsafePointer<Value>, stride: Int, count: Int, to scores: TreeScores<Value>,
    temporary: UnsafeMutableRawPointer
  ) {
    martlet_score_planes(plan, rows, stride, count, scores.values, temporary)
    scores.markScored(scored, rows: count, targets: targets)
  }
}

/// Trees as `martlet_score_planes` takes them.
struct PlaneLayout {
  /// Tests that are made for each block of rows: 4 MiB for 512 rows.
  private static let maximumTests = 1 << 16

  var trees: [martlet_plane_tree] = []
  /// Of each node.
  private(set) var tests: [UInt16] = []
  /// The same until tests have numbers: the column and below it 8 bits of threshold.
  private var tested: [UInt32] = []
  private(set) var places: [UInt16] = []
  /// For each tree the place of each leaf in its table.
  private(set) var leafPlaces: [[Int]] = []
  private(set) var columns: [martlet_tested_column] = []
  private(set) var thresholds: [UInt32] = []

  mutating func append(_ tree: CodedTree, _ nodes: ArraySlice<CodedNode>) {
    var bits = 1
    while 1 << bits < tree.leaves { bits += 1 }
    // A node of a complete tree costs about three operations, one with places seven; and a place of a leaf three.
    let isComplete =
      (1...CompleteTree.maximumDepth).contains(tree.depth)
      && 3 << tree.depth <= 7 * tree.nodes + 3 << bits
    trees.append(
      .init(
        leaves: martlet_leaves(), depth: isComplete ? UInt32(tree.depth) : 0, nodes: UInt32(tree.nodes),
        first_node: UInt32(tested.count), first_place: UInt32(places.count),
        planes: UInt32(isComplete ? tree.depth : bits)))
    guard isComplete else {
      for node in nodes {
        append(node)
        for child in [node.low, node.high] { places.append(UInt16(child < 0 ? 256 + Int(~child) : Int(child))) }
      }
      leafPlaces.append(Array(0..<tree.leaves))
      return
    }
    let complete = CompleteTree(nodes, leaves: tree.leaves, depth: tree.depth)
    for node in complete.nodes { append(node) }
    leafPlaces.append(complete.leafPlaces)
  }

  private mutating func append(_ node: CodedNode) {
    tested.append(UInt32(node.column) << 8 | UInt32(node.threshold))
  }

  /// Gives equal tests one number, column by column; false when they are too many.
  mutating func numberTests(columns count: Int) -> Bool {
    var numbers = [UInt32](repeating: .max, count: max(1, count) << 8)
    for test in tested { numbers[Int(test)] = 0 }
    for column in 0..<max(1, count) {
      let first = thresholds.count
      for threshold in 0..<256 where numbers[column << 8 + threshold] == 0 {
        numbers[column << 8 + threshold] = UInt32(thresholds.count)
        thresholds.append(UInt32(threshold) * 0x0101_0101)
      }
      guard thresholds.count > first else { continue }
      columns.append(
        .init(
          column: UInt32(64 * column), first_test: UInt32(first), tests: UInt32(thresholds.count - first)))
    }
    guard thresholds.count <= Self.maximumTests else { return false }
    tests = tested.map { UInt16(numbers[Int($0)]) }
    tested = []
    return true
  }
}
