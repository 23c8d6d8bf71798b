import CKernels

/// Places the nodes of an ensemble for the interleaved walk: siblings side by side, and as much of a path as possible in
/// one line of the cache.
///
/// A line takes the pair of children that it begins with and then, again and again, the children of the largest sub-tree
/// that hangs from it. A node's children are placed once, however many nodes it hangs from.
struct InterleavedLayout<Value: TreeValue> {
  /// A node as the kernel wants it, without places.
  struct Test {
    var threshold: Value
    /// Outcomes and the column, as bits of a word.
    var word: UInt32
    var first: Int
    var second: Int
  }

  /// A test of a set: a column of its own, above one half when the value is in the set.
  struct SetColumn: Hashable {
    var feature: UInt32
    var set: UInt32

    /// In place of a set: the feature's value.
    static var noSet: UInt32 { .max }
  }

  private(set) var columns: [UInt32] = []
  private(set) var sets: [SetColumn] = []
  /// Columns that follow from a category's code: its features, and tests of sets on them.
  private(set) var categories: [SetColumn] = []
  private(set) var isPlain = true
  /// Nodes with the gaps between them.
  private(set) var count = 0
  private(set) var roots: [UInt32] = []
  private(set) var levels: [UInt16] = []
  private(set) var groups: [UInt32] = []
  /// What the one target of each tree is; empty where there is none.
  private(set) var treeTargets: [Int32] = []
  /// The greatest distance from a node to its first child.
  private(set) var reach = 0
  /// Where the children of each node are.
  private var pairs: [UInt32]
  private var columnOfFeature: [UInt32]
  private var columnOfSet: [SetColumn: UInt32] = [:]

  private static var unplaced: UInt32 { .max }
  /// More columns for sets would cost more than they help.
  private static var maximumSets: Int { 1_024 }
  /// Bytes of nodes that stay in a second-level cache beside the rows.
  private static var groupBytes: Int { 192 << 10 }

  /// Bits of a word that the columns take.
  var columnBits: Int {
    let last = columns.count + sets.count + categories.count - 1
    return last.bitWidth - last.leadingZeroBitCount
  }

  /// Nil when the ensemble has no inner node, too many sets, or no room in 32 bits. `lineNodes` fit into a cache line.
  @inline(__always)
  init?(inline ensemble: TreeEnsemble<Value>, lineNodes: Int) {
    guard ensemble.features > 0 else { return nil }
    pairs = Array(repeating: Self.unplaced, count: ensemble.nodes.count)
    columnOfFeature = Array(repeating: Self.unplaced, count: ensemble.features)
    guard addColumns(ensemble) else { return nil }
    var sizes = [UInt32](repeating: 1, count: ensemble.nodes.count)
    var depths = [UInt16](repeating: 0, count: ensemble.nodes.count)
    // Children lie behind their parents but for shared ones, which count for nothing: an estimate, and a lower bound.
    for index in ensemble.nodes.indices.reversed() {
      let node = ensemble.nodes[index]
      guard !node.isLeaf else { continue }
      let whenTrue = Int(node.whenTrue)
      let whenFalse = Int(node.whenFalse)
      if whenTrue > index { sizes[index] = min(sizes[index] + sizes[whenTrue], 1 << 30) }
      if whenFalse > index { sizes[index] = min(sizes[index] + sizes[whenFalse], 1 << 30) }
      let depth = min(whenTrue > index ? depths[whenTrue] : 0, whenFalse > index ? depths[whenFalse] : 0)
      depths[index] = min(depth, UInt16.max - 1) + 1
    }
    var hasTreeTargets = ensemble.targets > 1
    var groupBegin = 0
    for (tree, root) in ensemble.roots.enumerated() {
      let begin = count
      place(Int(root), ensemble, sizes, lineNodes, &hasTreeTargets)
      guard count < 1 << 31 else { return nil }
      levels.append(depths[Int(root)])
      if tree > 0, (count - groupBegin) * (64 / lineNodes) > Self.groupBytes {
        groups.append(UInt32(tree))
        groupBegin = begin
      }
    }
    groups.append(UInt32(ensemble.roots.count))
    if !hasTreeTargets { treeTargets = [] }
    measureReach(ensemble)
  }

  /// Gives each feature that is compared, and each test of a set, a column.
  @inline(__always)
  private mutating func addColumns(_ ensemble: TreeEnsemble<Value>) -> Bool {
    for node in ensemble.nodes where !node.isLeaf {
      if node.feature >= ensemble.rowWidth {
        let column = SetColumn(
          feature: UInt32(node.feature), set: node.mode == .member ? UInt32(node.value) : SetColumn.noSet)
        if columnOfSet.updateValue(0, forKey: column) == nil { categories.append(column) }
      } else if node.mode == .member {
        let set = SetColumn(feature: UInt32(node.feature), set: UInt32(node.value))
        if columnOfSet[set] == nil {
          guard sets.count < Self.maximumSets else { return false }
          columnOfSet[set] = UInt32(sets.count)
          sets.append(set)
        }
      } else if columnOfFeature[node.feature] == Self.unplaced {
        columnOfFeature[node.feature] = UInt32(columns.count)
        columns.append(UInt32(node.feature))
      }
    }
    if let known = ensemble.categories { number(known) }
    // Leaves look at column 0, whatever it is.
    if columns.isEmpty { columns.append(0) }
    // A closure would take a copy of this structure for every node.
    for node in ensemble.nodes where isPlain && !node.isLeaf {
      isPlain = test(node).word & Self.plainMask == Self.plain
    }
    return true
  }

  /// Gives columns of categories their places: behind all others, those of one category side by side, flags first.
  @inline(__always)
  private mutating func number(_ known: CategoryFeatures<Value>) {
    func order(_ column: SetColumn) -> (Int, Int, UInt32, UInt32) {
      let feature = known.features[Int(column.feature) - known.rowWidth]
      return (feature.column, feature.isFlag ? 0 : 1, column.feature, column.set)
    }
    categories.sort { order($0) < order($1) }
    if columns.isEmpty { columns.append(0) }
    for (index, column) in categories.enumerated() {
      if column.set == SetColumn.noSet {
        columnOfFeature[Int(column.feature)] = UInt32(columns.count + sets.count + index)
      } else {
        columnOfSet[column] = UInt32(sets.count + index)
      }
    }
  }

  private static var plain: UInt32 { MARTLET_WALK_GREATER }
  private static var plainMask: UInt32 { MARTLET_WALK_GREATER | MARTLET_WALK_LESS | MARTLET_WALK_EQUAL }

  /// How the kernel decides what the node decides.
  @inline(__always)
  func test(_ node: TreeEnsemble<Value>.Node) -> Test {
    let whenTrue = Int(node.whenTrue)
    let whenFalse = Int(node.whenFalse)
    let any = Self.plainMask
    let missing: UInt32 = node.tracksTrue ? MARTLET_WALK_MISSING : 0
    let notMissing: UInt32 = node.tracksTrue ? 0 : MARTLET_WALK_MISSING
    let column = node.mode == .member ? 0 : columnOfFeature[node.feature] << MARTLET_WALK_COLUMN_SHIFT
    let inner = MARTLET_WALK_INNER | column
    if node.mode != .member, node.value.isNaN {
      // Nothing compares with it, and everything differs from it.
      let bits = node.mode == .notEqual ? 0 : any | notMissing
      return Test(threshold: 0, word: inner | bits, first: whenTrue, second: whenFalse)
    }
    switch node.mode {
    case .lessOrEqual:
      return Test(
        threshold: node.value, word: inner | MARTLET_WALK_GREATER | notMissing, first: whenTrue, second: whenFalse)
    case .less:
      guard node.value > -.infinity else {
        return Test(
          threshold: node.value, word: inner | MARTLET_WALK_GREATER | MARTLET_WALK_EQUAL | notMissing, first: whenTrue,
          second: whenFalse)
      }
      return Test(
        threshold: node.value.nextDown, word: inner | MARTLET_WALK_GREATER | notMissing, first: whenTrue,
        second: whenFalse)
    case .greaterOrEqual:
      guard node.value > -.infinity else {
        return Test(
          threshold: node.value, word: inner | MARTLET_WALK_GREATER | MARTLET_WALK_EQUAL | missing, first: whenFalse,
          second: whenTrue)
      }
      return Test(
        threshold: node.value.nextDown, word: inner | MARTLET_WALK_GREATER | missing, first: whenFalse,
        second: whenTrue)
    case .greater:
      return Test(
        threshold: node.value, word: inner | MARTLET_WALK_GREATER | missing, first: whenFalse, second: whenTrue)
    case .equal:
      return Test(
        threshold: node.value, word: inner | MARTLET_WALK_EQUAL | missing, first: whenFalse, second: whenTrue)
    case .notEqual:
      return Test(
        threshold: node.value, word: inner | MARTLET_WALK_LESS | MARTLET_WALK_GREATER | MARTLET_WALK_MISSING,
        first: whenFalse, second: whenTrue)
    case .member:
      let set = columnOfSet[SetColumn(feature: UInt32(node.feature), set: UInt32(node.value))].unsafelyUnwrapped
      let column = (UInt32(columns.count) + set) << MARTLET_WALK_COLUMN_SHIFT
      return Test(
        threshold: 0.5, word: MARTLET_WALK_INNER | column | MARTLET_WALK_GREATER | missing, first: whenFalse,
        second: whenTrue)
    case .leaf: return Test(threshold: 0, word: 0, first: 0, second: 0)
    }
  }

  /// Places what is not placed yet of the tree from `root`.
  @inline(__always)
  private mutating func place(
    _ root: Int, _ ensemble: TreeEnsemble<Value>, _ sizes: [UInt32], _ lineNodes: Int, _ hasTreeTargets: inout Bool
  ) {
    count = (count + lineNodes - 1) / lineNodes * lineNodes
    roots.append(UInt32(count))
    count += 2
    treeTargets.append(-1)
    check(root, ensemble, &hasTreeTargets)
    var stack = [root]
    var open: [Int] = []
    while let top = stack.popLast() {
      var room = lineNodes - count % lineNodes
      if room < lineNodes, Int(sizes[top]) - 1 > room {
        count += room
        room = lineNodes
      }
      open.removeAll(keepingCapacity: true)
      open.append(top)
      while room >= 2, !open.isEmpty {
        var largest = 0
        for index in open.indices where sizes[open[index]] > sizes[open[largest]] { largest = index }
        let index = open.remove(at: largest)
        let node = ensemble.nodes[index]
        guard !node.isLeaf, pairs[index] == Self.unplaced else { continue }
        pairs[index] = UInt32(count)
        count += 2
        room -= 2
        let whenTrue = Int(node.whenTrue)
        check(whenTrue, ensemble, &hasTreeTargets)
        if !ensemble.nodes[whenTrue].isLeaf { open.append(whenTrue) }
        let whenFalse = Int(node.whenFalse)
        check(whenFalse, ensemble, &hasTreeTargets)
        if !ensemble.nodes[whenFalse].isLeaf { open.append(whenFalse) }
      }
      stack += open
    }
  }

  /// Takes note of a leaf's target in the tree that is being placed, or that a node is shared.
  @inline(__always)
  private mutating func check(_ index: Int, _ ensemble: TreeEnsemble<Value>, _ hasTreeTargets: inout Bool) {
    guard hasTreeTargets else { return }
    let node = ensemble.nodes[index]
    guard node.isLeaf else {
      if pairs[index] != Self.unplaced { hasTreeTargets = false }
      return
    }
    guard node.whenFalse == 1 else {
      hasTreeTargets = false
      return
    }
    let target = ensemble.weights[Int(node.whenTrue)].target
    let tree = treeTargets.count - 1
    if treeTargets[tree] < 0 { treeTargets[tree] = target }
    if treeTargets[tree] != target { hasTreeTargets = false }
  }

  @inline(__always)
  private mutating func measureReach(_ ensemble: TreeEnsemble<Value>) {
    var most = 0
    forEachSlot(ensemble) { slot, index in
      if !ensemble.nodes[index].isLeaf { most = max(most, abs(Int(pairs[index]) - slot)) }
    }
    reach = most
  }

  /// Calls `body` for each place with the node that lies there.
  @inline(__always)
  func forEachSlot(_ ensemble: TreeEnsemble<Value>, _ body: (_ slot: Int, _ node: Int) -> Void) {
    for (tree, root) in ensemble.roots.enumerated() { body(Int(roots[tree]), Int(root)) }
    for index in ensemble.nodes.indices where pairs[index] != Self.unplaced {
      let test = self.test(ensemble.nodes[index])
      body(Int(pairs[index]), test.first)
      body(Int(pairs[index]) + 1, test.second)
    }
  }

  /// Distance from a slot to where the children of `node`, an inner one, are.
  @inline(__always)
  func distance(from slot: Int, toChildrenOf node: Int) -> Int { Int(pairs[node]) - slot }
}
