import CKernels

/// One row at a time, or eight: all nodes of a tree are decided at once by a permute and a comparison of bytes. For
/// few rows, and for trees of any size: larger ones are chunks of 64 nodes. Over at most 256 columns of codes of one
/// byte, or 128 of two.
final class RowPlan<Value: TreeValue>: TreePlan<Value>, @unchecked Sendable {
  // `@unchecked Sendable`: as the base class says; the tables are written by `init` only.
  private let memory = PlanMemory()
  private let plan: UnsafePointer<martlet_row_plan>
  private let targets: Int
  private let scored: [Int]

  override class var kind: String { "rows" }

  required convenience init?(_ ensemble: TreeEnsemble<Value>, _ aggregate: TreeAggregate) {
    self.init(PlanSource(ensemble, aggregate), level: martlet_cpu_level())
  }

  override class func make(_ source: PlanSource<Value>) -> TreePlan<Value>? {
    RowPlan(source, level: martlet_cpu_level())
  }

  /// `level` is the processor's that kernels may use; codes are of one byte where they can be, or of `width`.
  init?(_ source: PlanSource<Value>, level: Int32, width: CodeWidth? = nil) {
    let narrow = width == .word ? nil : source.coded.flatMap { $0.columns <= MARTLET_ROW_COLUMNS ? $0 : nil }
    guard let coded = narrow ?? source.codedWide, coded.values.count < 1 << 30 else { return nil }
    targets = coded.targets
    scored = source.ensemble.scoresEveryTarget ? [] : coded.scored
    var layout = RowLayout(isWide: narrow == nil)
    var values: [Value] = []
    for tree in coded.trees {
      let places = layout.append(tree, coded.nodes(of: tree), firstValue: values.count)
      guard layout.nodes.count < 1 << 31, values.count < 1 << 30 else { return nil }
      for output in 0..<tree.outputs {
        let first = tree.firstValue + output * tree.leaves
        guard let places else {
          values += coded.values[first..<(first + tree.leaves)]
          continue
        }
        let table = values.count
        values.append(contentsOf: repeatElement(0, count: 64))
        for (leaf, place) in places.enumerated() { values[table + place] = coded.values[first + leaf] }
      }
    }
    plan = memory.store([
      martlet_row_plan(
        encoder: coded.encoder(memory, level: level), trees: memory.store(layout.trees),
        tree_count: layout.trees.count, nodes: memory.store(layout.nodes + [UInt8](repeating: 0, count: 256)),
        values: memory.store(values),
        outputs: memory.store(coded.outputs), target_count: coded.targets, jumps: UInt32(layout.jumps),
        is_complete: narrow != nil && layout.trees.allSatisfy(\.is_complete), is_wide: narrow == nil)
    ])
    super.init(source.ensemble, source.aggregate)
  }

  override var bytes: Int { memory.bytes }

  override func temporaryBytes(rows: Int) -> Int { martlet_score_rows_bytes(plan, rows) }

  override func add(
    _ rows: UnsafePointer<Value>, stride: Int, count: Int, to scores: TreeScores<Value>,
    temporary: UnsafeMutableRawPointer
  ) {
    martlet_score_rows(plan, rows, stride, count, scores.values, temporary)
    scores.markScored(scored, rows: count, targets: targets)
  }
}

/// Trees as `martlet_score_rows` takes them.
struct RowLayout {
  /// Levels and nodes that are decided at once.
  private static let depth = 6
  private static let nodesOfChunk = 64

  /// Whether thresholds are of two bytes.
  private let isWide: Bool
  private(set) var trees: [martlet_row_tree] = []
  private(set) var nodes: [UInt8] = []
  /// Doublings that reach from the first to the last node on the longest way in a chunk.
  private(set) var jumps = 1

  init(isWide: Bool) {
    self.isWide = isWide
  }

  /// Appends a tree whose leaves begin at `firstValue`. Returns the places of leaves in tables of 64, or nil when its
  /// tables are its leaves in order.
  mutating func append(_ tree: CodedTree, _ tested: ArraySlice<CodedNode>, firstValue: Int) -> [Int]? {
    let isComplete = !isWide && tree.depth <= Self.depth
    trees.append(
      .init(
        first_node: UInt32(nodes.count), first_value: UInt32(firstValue),
        leaves: UInt32(isComplete ? 64 : tree.leaves), first_output: UInt32(tree.firstOutput),
        outputs: UInt32(tree.outputs), is_complete: isComplete))
    guard isComplete else {
      appendChunks(tested.isEmpty ? [.passing(to: ~0)] : Array(tested))
      return nil
    }
    let complete = LevelOrder(tested, leaves: tree.leaves, depth: Self.depth)
    for node in complete.nodes { nodes.append(UInt8(node.column)) }
    for node in complete.nodes { nodes.append(UInt8(node.threshold)) }
    return complete.leafPlaces
  }

  private mutating func appendChunks(_ tree: [CodedNode]) {
    /// Chunks to come: their root, and where the word stands that leads to them.
    var open: [(root: Int32, word: Int)] = [(0, -1)]
    while let next = open.popLast() {
      let start = nodes.count
      if next.word >= 0 { write(~Int32(start / 4), at: next.word) }
      // The uppermost nodes, so that the ways in the chunk are short.
      var members = [next.root]
      var levels = [0]
      var places: [Int32: Int] = [next.root: 0]
      var index = 0
      while index < members.count {
        for child in [tree[Int(members[index])].low, tree[Int(members[index])].high]
        where child >= 0 && members.count < Self.nodesOfChunk {
          places[child] = members.count
          members.append(child)
          levels.append(levels[index] + 1)
        }
        index += 1
      }
      while 1 << jumps < levels.last ?? 0 { jumps += 1 }
      let count = members.count
      let thresholdBytes = isWide ? 2 : 1
      let bytes = 4 + (11 + thresholdBytes) * count
      nodes.append(contentsOf: repeatElement(0, count: (bytes + 3) & ~3))
      write(Int32(count), at: start)
      let thresholds = start + 4 + count
      let lowPlaces = thresholds + thresholdBytes * count
      for (place, member) in members.enumerated() {
        let node = tree[Int(member)]
        nodes[start + 4 + place] = UInt8(node.column)
        nodes[thresholds + thresholdBytes * place] = UInt8(truncatingIfNeeded: node.threshold)
        if isWide { nodes[thresholds + 2 * place + 1] = UInt8(node.threshold >> 8) }
        for (side, child) in [node.low, node.high].enumerated() {
          let inside = child >= 0 ? places[child] : nil
          nodes[lowPlaces + side * count + place] = UInt8(inside ?? place)
          guard inside == nil else { continue }
          let word = lowPlaces + 2 * count + 4 * (2 * place + side)
          if child < 0 { write(~child, at: word) } else { open.append((child, word)) }
        }
      }
    }
  }

  private mutating func write(_ word: Int32, at place: Int) {
    withUnsafeBytes(of: word) { for (index, byte) in $0.enumerated() { nodes[place + index] = byte } }
  }

  /// A complete tree level by level from node 1 on; node 0 is the root once more.
  private struct LevelOrder {
    private(set) var nodes: [CodedNode]
    private(set) var leafPlaces: [Int]

    init(_ tree: ArraySlice<CodedNode>, leaves: Int, depth: Int) {
      nodes = [CodedNode](repeating: .passing(to: 0), count: 1 << depth)
      leafPlaces = [Int](repeating: 0, count: leaves)
      var open: [(place: Int32, node: Int)] = [(tree.isEmpty ? ~0 : 0, 1)]
      while let (place, node) = open.popLast() {
        guard place >= 0 else {
          // Nodes below lead to the lowest of its places.
          var lowest = node
          while lowest < 1 << depth { lowest *= 2 }
          leafPlaces[Int(~place)] = lowest - 1 << depth
          continue
        }
        nodes[node] = tree[tree.startIndex + Int(place)]
        open.append((nodes[node].low, 2 * node))
        open.append((nodes[node].high, 2 * node + 1))
      }
      nodes[0] = nodes[1]
    }
  }
}
