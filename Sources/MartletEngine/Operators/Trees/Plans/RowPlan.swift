import CKernels

/// One row at a time, or eight: all nodes of a tree are decided at once by a permute and a comparison of bytes. For
/// few rows; trees of any size, over at most 256 columns of codes.
final class RowPlan<Value: TreeValue>: TreePlan<Value>, @unchecked Sendable {
  // `@unchecked Sendable`: as the base class says; the tables are written by `init` only.
  private let memory = PlanMemory()
  private let plan: UnsafePointer<martlet_row_plan>
  private let targets: Int
  private let scored: [Int]

  override class var kind: String { "rows" }

  required convenience init?(_ ensemble: TreeEnsemble<Value>, _ aggregate: TreeAggregate) {
    self.init(ensemble, aggregate, level: martlet_cpu_level())
  }

  /// `level` is the processor's that kernels may use.
  init?(_ ensemble: TreeEnsemble<Value>, _ aggregate: TreeAggregate, level: Int32) {
    guard aggregate == .sum || aggregate == .average,
      let coded = Value.coded(ensemble, maximumLeaves: RowLayout.maximumLeaves),
      coded.columns <= MARTLET_ROW_COLUMNS, coded.values.count < 1 << 30
    else { return nil }
    targets = ensemble.targets
    scored = ensemble.scoresEveryTarget ? [] : coded.scored
    var layout = RowLayout()
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
        tree_count: layout.trees.count, nodes: memory.store(layout.nodes), values: memory.store(values),
        outputs: memory.store(coded.outputs), target_count: ensemble.targets, jumps: UInt32(layout.jumps),
        is_complete: layout.trees.allSatisfy(\.is_complete))
    ])
    super.init(ensemble, aggregate)
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
  static let maximumLeaves = 1 << 24
  /// Levels and nodes that are decided at once.
  private static let depth = 6
  private static let nodesOfChunk = 64

  private(set) var trees: [martlet_row_tree] = []
  private(set) var nodes: [UInt8] = []
  /// Doublings that reach from the first to the last node on the longest way in a chunk.
  private(set) var jumps = 1

  /// Appends a tree whose leaves begin at `firstValue`. Returns the places of leaves in tables of 64, or nil when its
  /// tables are its leaves in order.
  mutating func append(_ tree: CodedTree, _ tested: ArraySlice<CodedNode>, firstValue: Int) -> [Int]? {
    let isComplete = tree.depth <= Self.depth
    trees.append(
      .init(
        first_node: UInt32(nodes.count), first_value: UInt32(firstValue),
        leaves: UInt32(isComplete ? 64 : tree.leaves), first_output: UInt32(tree.firstOutput),
        outputs: UInt32(tree.outputs), is_complete: isComplete))
    guard isComplete else {
      appendChunks(Array(tested))
      return nil
    }
    let complete = LevelOrder(tested, leaves: tree.leaves, depth: Self.depth)
    for node in complete.nodes { nodes.append(UInt8(node.column)) }
    for node in complete.nodes { nodes.append(node.threshold) }
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
      nodes.append(contentsOf: repeatElement(0, count: 4 + 12 * count))
      write(Int32(count), at: start)
      for (place, member) in members.enumerated() {
        let node = tree[Int(member)]
        let at = start + 4 + place
        nodes[at] = UInt8(node.column)
        nodes[at + count] = node.threshold
        for (side, child) in [node.low, node.high].enumerated() {
          let inside = child >= 0 ? places[child] : nil
          nodes[at + (2 + side) * count] = UInt8(inside ?? place)
          guard inside == nil else { continue }
          let word = start + 4 + 4 * count + 4 * (2 * place + side)
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
