import CKernels

/// One row at a time, or eight: all nodes of a tree are decided at once by a permute and a comparison of bytes. For few
/// rows, and for trees of any size: two of up to 32 nodes go together, larger ones are chunks of 64 nodes. Over at most
/// 256 columns of codes of one byte, or 128 of two.
final class RowPlan<Value: TreeValue>: TreePlan<Value>, @unchecked Sendable {
  // `@unchecked Sendable`: as the base class says; the tables are written by `init` only.
  private let tables = KernelTables()
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
    let form = RowLayout.Form(coded.trees, isWide: narrow == nil)
    var layout = RowLayout(form, isWide: narrow == nil)
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
        for (place, leaf) in places { values[table + place] = coded.values[first + leaf] }
      }
    }
    let writes = Set(coded.trees.map { $0.outputs == 1 ? Int(coded.outputs[$0.firstOutput]) : -1 })
    let target = writes.count == 1 ? writes.first.flatMap { $0 < 0 ? nil : $0 } : nil
    plan = tables.store([
      martlet_row_plan(
        encoder: coded.encoder(tables, level: level), trees: tables.store(layout.trees),
        tree_count: layout.trees.count, nodes: tables.store(layout.nodes, padding: 256),
        values: tables.store(values),
        outputs: tables.store(coded.outputs), target_count: coded.targets, jumps: UInt32(layout.jumps),
        longest_way: UInt32(layout.longestWay),
        is_complete: form == .complete, is_paired: form == .pairs,
        has_one_chunk: form == .chunks && coded.trees.allSatisfy { $0.nodes <= RowLayout.nodesOfChunk },
        is_wide: narrow == nil, has_one_target: target != nil, target: UInt32(target ?? 0),
        is_regular: target != nil && layout.isRegular)
    ])
    super.init(source.ensemble, source.aggregate)
  }

  override var bytes: Int { tables.bytes }

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
  static let depth = 6
  static let nodesOfChunk = 64
  /// Nodes of each tree of a pair.
  static let nodesOfHalf = 32

  /// What all trees are.
  enum Form {
    /// Of `depth` levels, complete.
    case complete
    case pairs
    case chunks

    init(_ trees: [CodedTree], isWide: Bool) {
      self =
        isWide
        ? .chunks
        : trees.allSatisfy { $0.depth <= RowLayout.depth }
          ? .complete : trees.allSatisfy { $0.nodes <= RowLayout.nodesOfHalf } ? .pairs : .chunks
    }
  }

  /// Whether thresholds are of two bytes.
  private let isWide: Bool
  private let form: Form
  private(set) var trees: [martlet_row_tree] = []
  private(set) var nodes: [UInt8] = []
  /// Steps from the first to the last node on the longest way in a chunk or a tree of a pair.
  private(set) var longestWay = 0
  /// Doublings that reach as far.
  var jumps: Int { max(3, Int.bitWidth - max(0, longestWay - 1).leadingZeroBitCount) }

  /// Whether complete trees, or pairs, lie in order, nodes behind nodes and leaves behind leaves.
  var isRegular: Bool {
    guard form != .chunks else { return false }
    return trees.enumerated().allSatisfy { index, tree in
      Int(tree.first_value) == 64 * index
        && Int(tree.first_node) == (form == .pairs ? 256 * (index / 2) + 32 * (index % 2) : 128 * index)
    }
  }

  init(_ form: Form, isWide: Bool) {
    self.form = form
    self.isWide = isWide
  }

  /// Appends a tree whose leaves begin at `firstValue`. Returns which leaf is in which place of tables of 64, or nil when
  /// its tables are its leaves in order.
  mutating func append(
    _ tree: CodedTree, _ tested: ArraySlice<CodedNode>, firstValue: Int
  ) -> [(place: Int, leaf: Int)]? {
    let isSecond = form == .pairs && trees.count % 2 == 1
    if !isSecond { align() }
    let start = isSecond ? nodes.count - 4 * 64 + Self.nodesOfHalf : nodes.count
    trees.append(
      .init(
        first_node: UInt32(form == .chunks ? start / 2 : start), first_value: UInt32(firstValue),
        leaves: UInt32(form == .chunks ? tree.leaves : 64), first_output: UInt32(tree.firstOutput),
        outputs: UInt32(tree.outputs)))
    switch form {
    case .complete:
      let complete = LevelOrder(tested, leaves: tree.leaves, depth: Self.depth)
      for node in complete.nodes { nodes.append(UInt8(node.column)) }
      for node in complete.nodes { nodes.append(UInt8(node.threshold)) }
      return complete.leafPlaces.enumerated().map { ($1, $0) }
    case .pairs:
      if !isSecond { nodes.append(contentsOf: repeatElement(0, count: 4 * 64)) }
      return appendHalf(tested.isEmpty ? [.passing(to: ~0)] : Array(tested), at: start)
    case .chunks:
      appendChunks(tested.isEmpty ? [.passing(to: ~0)] : Array(tested))
      return nil
    }
  }

  /// Writes a tree into its half of a pair; its nodes are named by their places in the pair.
  private mutating func appendHalf(_ tree: [CodedNode], at start: Int) -> [(place: Int, leaf: Int)] {
    let root = start & Self.nodesOfHalf
    var leaves: [(Int, Int)] = []
    for member in chunk(tree, 0) {
      let place = Int(member)
      nodes[start + place] = UInt8(tree[place].column)
      nodes[start + 64 + place] = UInt8(tree[place].threshold)
      for side in 0..<2 {
        let child = side == 0 ? tree[place].low : tree[place].high
        nodes[start + 128 + 64 * side + place] = UInt8(root + (child >= 0 ? Int(child) : place))
        if child < 0 { leaves.append((2 * place + side, Int(~child))) }
      }
    }
    return leaves
  }

  /// The next chunk or tree begins at a multiple of 64 bytes.
  private mutating func align() {
    nodes.append(contentsOf: repeatElement(0, count: (nodes.count + 63) & ~63 - nodes.count))
  }

  private mutating func appendChunks(_ tree: [CodedNode]) {
    /// Chunks to come: their root, and where the word stands that leads to them.
    var open: [(root: Int32, word: Int)] = [(0, -1)]
    while let next = open.popLast() {
      let members = chunk(tree, next.root)
      // The first is large whatever its size, so that trees of one chunk are all of the same kind.
      let isLarge = next.word < 0 || members.count > Self.nodesOfChunk / 4
      if isLarge { align() }
      if next.word >= 0 { write(~Int32(nodes.count / 2 | (isLarge ? 0 : 1)), at: next.word) }
      append(tree, members, isLarge: isLarge, &open)
    }
  }

  /// The uppermost nodes from `root` on, so that the ways in a chunk are short.
  private mutating func chunk(_ tree: [CodedNode], _ root: Int32) -> [Int32] {
    var members = [root]
    var levels = [0]
    var index = 0
    while index < members.count {
      let node = tree[Int(members[index])]
      for side in 0..<2 {
        let child = side == 0 ? node.low : node.high
        guard child >= 0, members.count < Self.nodesOfChunk else { continue }
        members.append(child)
        levels.append(levels[index] + 1)
      }
      index += 1
    }
    longestWay = max(longestWay, levels.last ?? 0)
    return members
  }

  private mutating func append(
    _ tree: [CodedNode], _ members: [Int32], isLarge: Bool, _ open: inout [(root: Int32, word: Int)]
  ) {
    let room = isLarge ? Self.nodesOfChunk : members.count
    let columns = nodes.count + (isLarge ? 0 : 4)
    let thresholds = columns + room
    let lowPlaces = thresholds + (isWide ? 2 : 1) * room
    let exits = lowPlaces + 2 * room
    nodes.append(contentsOf: repeatElement(0, count: (exits + 8 * members.count + 3) & ~3 - nodes.count))
    if !isLarge { write(Int32(room), at: columns - 4) }
    // Children of members come in the order of their parents.
    var nextPlace = 1
    for (place, member) in members.enumerated() {
      let node = tree[Int(member)]
      nodes[columns + place] = UInt8(node.column)
      if isWide {
        nodes[thresholds + 2 * place] = UInt8(truncatingIfNeeded: node.threshold)
        nodes[thresholds + 2 * place + 1] = UInt8(node.threshold >> 8)
      } else {
        nodes[thresholds + place] = UInt8(node.threshold)
      }
      for side in 0..<2 {
        let child = side == 0 ? node.low : node.high
        let isInside = child >= 0 && nextPlace < members.count
        nodes[lowPlaces + side * room + place] = UInt8(isInside ? nextPlace : place)
        if isInside {
          nextPlace += 1
        } else if child < 0 {
          write(~child, at: exits + 4 * (2 * place + side))
        } else {
          open.append((child, exits + 4 * (2 * place + side)))
        }
      }
    }
  }

  private mutating func write(_ word: Int32, at place: Int) {
    nodes.withUnsafeMutableBytes { $0.storeBytes(of: word, toByteOffset: place, as: Int32.self) }
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
