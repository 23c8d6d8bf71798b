import CKernels

/// Trees whose nodes compare codes of one byte or two instead of values: what all coded plan kinds are made from.
///
/// Every test of the ensemble, whatever its mode and whatever it does with missing values, has become "the code of a
/// column is above a threshold". Tests that always answer the same are gone.
struct CodedTrees<Value: TreeValue> {
  /// Those that are columns of the input.
  var features: [CodedFeature<Value>] = []
  var nodes: [CodedNode] = []
  var trees: [CodedTree] = []
  var values: [Value] = []
  /// The targets that trees add to, tree by tree.
  var outputs: [UInt32] = []
  /// What the codes of categories become, behind the columns of features.
  var categories: [CodedCategory] = []
  /// Columns of codes of all features together.
  var columns = 0
  let targets: Int
  /// Targets that every row has a score for, when the ensemble has more than one.
  var scored: [Int] = []

  func nodes(of tree: CodedTree) -> ArraySlice<CodedNode> { nodes[tree.firstNode..<(tree.firstNode + tree.nodes)] }
}

/// A node of a tree on codes. Children are places of nodes in the same tree, always greater than the node's own, or
/// complements of leaves.
struct CodedNode: BitwiseCopyable {
  var column: Int32
  /// The test holds for codes above it.
  var threshold: UInt16
  var low: Int32
  var high: Int32

  /// A node that no code of one byte is above: it leads to `child`.
  static func passing(to child: Int32) -> CodedNode {
    CodedNode(column: 0, threshold: 255, low: child, high: child)
  }
}

/// Where the parts of a tree on codes are in `CodedTrees`.
struct CodedTree: BitwiseCopyable {
  /// Index of its first node, the root if it has any.
  var firstNode: Int
  var nodes: Int
  /// Leaves are numbered in order, from the lowest codes on.
  var leaves: Int
  /// Index in `values`: leaves of the first output, then of the second.
  var firstValue: Int
  /// Index in `outputs`.
  var firstOutput: Int
  var outputs: Int
  /// Nodes on the longest way.
  var depth: Int
}

/// The size of a code.
enum CodeWidth {
  case byte
  case word

  /// The greatest code.
  var most: Int { self == .byte ? 255 : 65_535 }

  /// Columns of codes that any kind takes.
  var maximumColumns: Int { self == .byte ? 1 << 11 : Int(MARTLET_WIDE_ROW_COLUMNS) }
}

/// Turns an ensemble into `CodedTrees`.
struct CodedTreesBuilder<Value: TreeValue> {
  /// A node's test on codes.
  private struct Test: BitwiseCopyable {
    enum Kind: UInt8 {
      case unknown
      case compares
      case alwaysTrue
      case alwaysFalse
    }
    var kind = Kind.unknown
    /// Before the test has been coded: the rank of its cut less one, when it is one of order.
    var threshold: UInt16 = 0
    /// Whether codes above the threshold are those for which the test holds.
    var highIsTrue = false
    /// Index in `features`.
    var feature: Int32 = 0
    /// Place among the feature's columns.
    var place: Int32 = 0
    /// Index of the child when the test does not hold: that of the last one of a chain of tests.
    var whenFalse: UInt32 = 0
  }

  /// Features that a coded ensemble may have, and answers to look up for tables.
  private static var maximumFeatures: Int { 1 << 16 }
  private static var maximumAnswers: Int { 1 << 23 }
  /// Leaves of a tree.
  private static var maximumLeaves: Int { 1 << 24 }
  /// Bits for a column's place among those of its feature, until all are known and have numbers.
  private static var placeBits: Int32 { 12 }

  private let ensemble: TreeEnsemble<Value>
  private let width: CodeWidth
  private var coded: CodedTrees<Value>
  private var tests: [Test]
  private var answersLeft = maximumAnswers

  init(_ ensemble: TreeEnsemble<Value>, _ width: CodeWidth) {
    self.ensemble = ensemble
    self.width = width
    coded = CodedTrees(targets: ensemble.targets)
    tests = []
  }

  /// Nil when the ensemble does not fit codes: more than 65,535 cuts of a feature, too many columns, leaves of a tree
  /// with weights for different targets, or sub-trees so often shared that to copy them would be too much.
  consuming func build() -> CodedTrees<Value>? {
    guard ensemble.features <= Self.maximumFeatures, collectCuts() else { return nil }
    rankCuts()
    for root in ensemble.roots {
      guard expand(root) else { return nil }
    }
    let numbering = CodedColumns(coded.features, ensemble.categories)
    coded.columns = numbering.count
    guard coded.columns <= width.maximumColumns else { return nil }
    for index in coded.nodes.indices {
      let column = coded.nodes[index].column
      coded.nodes[index].column =
        numbering.column(feature: Int(column >> Self.placeBits), place: Int(column & (1 << Self.placeBits - 1)))
    }
    coded.categories = numbering.categories
    coded.features.removeAll { $0.feature >= ensemble.rowWidth }
    if ensemble.targets > 1 {
      coded.scored = Set(coded.outputs.map { Int($0) }).sorted()
    }
    return coded
  }

  private mutating func collectCuts() -> Bool {
    var places = [Int32](repeating: -1, count: ensemble.features)
    tests = [Test](repeating: Test(), count: ensemble.nodes.count)
    for (index, node) in ensemble.nodes.enumerated() where !node.isLeaf {
      if places[node.feature] < 0 {
        places[node.feature] = Int32(coded.features.count)
        // What categories become are bytes in either width.
        let isNumber = node.feature < ensemble.rowWidth
        coded.features.append(
          CodedFeature(feature: node.feature, segment: isNumber ? width.most : CodeWidth.byte.most))
      }
      guard coded.features.count <= width.maximumColumns else { return false }
      tests[index].feature = places[node.feature]
      coded.features[Int(places[node.feature])].addCuts(node, ensemble.sets)
    }
    for index in coded.features.indices where !coded.features[index].closeCuts() { return false }
    // Where all tests are of order, each cut is some node's, and so each segment of cuts a column.
    let isOrdered = ensemble.commonMode.map { $0.rawValue <= BranchMode.greater.rawValue } ?? false
    let columns = coded.features.reduce(0) { $0 + ($1.cuts.count + $1.segment - 1) / $1.segment }
    return !isOrdered || columns <= width.maximumColumns
  }

  /// A search among the sorted cuts of one feature, which lie behind those of other features.
  private struct CutSearch: BitwiseCopyable {
    var node = 0
    var feature = 0
    var cut: Value = 0
    var low = 0
    var length = 0
  }

  /// Looks up the ranks of all tests of order, several at once: each step of a search waits for memory.
  private mutating func rankCuts() {
    let cuts = coded.features.flatMap { $0.cuts }
    var firstCuts: [Int] = []
    var next = 0
    for feature in coded.features {
      firstCuts.append(next)
      next += feature.cuts.count
    }
    withUnsafeTemporaryAllocation(of: CutSearch.self, capacity: 16) { searches in
      searches.initialize(repeating: CutSearch())
      var count = 0
      for (index, node) in ensemble.nodes.enumerated() where !node.isLeaf {
        guard let cut = orderedCut(node) else { continue }
        let feature = Int(tests[index].feature)
        searches[count] = CutSearch(
          node: index, feature: feature, cut: cut, low: firstCuts[feature], length: coded.features[feature].cuts.count)
        count += 1
        guard count == searches.count else { continue }
        finish(searches[...], cuts, firstCuts)
        count = 0
      }
      finish(searches[..<count], cuts, firstCuts)
    }
  }

  private mutating func finish(
    _ searches: Slice<UnsafeMutableBufferPointer<CutSearch>>, _ cuts: [Value], _ firstCuts: [Int]
  ) {
    guard var left = searches.lazy.map({ $0.length }).max(), let search = searches.base.baseAddress else { return }
    cuts.withUnsafeBufferPointer { cuts in
      while left > 1 {
        for index in 0..<searches.count {
          // A search that has ended earlier asks on, for nothing.
          let half = search[index].length >> 1
          let asked = search[index].low &+ max(half, 1) &- 1
          search[index].low &+= half &* (cuts[asked] <= search[index].cut ? 1 : 0)
          search[index].length &-= half
        }
        left -= left / 2
      }
    }
    for search in searches {
      let rank = search.low - firstCuts[search.feature] + (cuts[search.low] <= search.cut ? 1 : 0)
      tests[search.node].threshold = UInt16(rank - 1)
    }
  }

  /// Codes the test of one node; false when tables grow too large.
  private mutating func code(_ index: Int) -> Bool {
    let node = ensemble.nodes[index]
    let feature = Int(tests[index].feature)
    tests[index].whenFalse = node.whenFalse
    if orderedCut(node) != nil {
      let highIsTrue = node.mode == .greater || node.mode == .greaterOrEqual
      let rank = Int(tests[index].threshold)
      let segment = coded.features[feature].segment
      tests[index].kind = .compares
      tests[index].threshold = UInt16(rank % segment)
      tests[index].highIsTrue = highIsTrue
      tests[index].place = Int32(
        coded.features[feature].place(segment: rank / segment, missingIsHigh: node.tracksTrue == highIsTrue))
      return tests[index].place < 1 << Self.placeBits
    }
    answersLeft -= coded.features[feature].cuts.count + 2
    guard answersLeft >= 0 else { return false }
    var answers = [UInt8](repeating: 0, count: coded.features[feature].cuts.count + 2)
    guard mark(&answers, node, feature) else { return false }
    // Exporters write a set of categories as a chain of tests for equality that lead to the same child.
    var last = node
    while last.mode == .equal || last.mode == .member {
      let next = ensemble.nodes[Int(last.whenFalse)]
      guard next.mode == .equal || next.mode == .member, next.feature == node.feature,
        next.whenTrue == node.whenTrue
      else { break }
      guard mark(&answers, next, feature) else { return false }
      last = next
    }
    tests[index].whenFalse = last.whenFalse
    guard answers.contains(1) else {
      tests[index].kind = .alwaysFalse
      return true
    }
    guard answers.contains(0) else {
      tests[index].kind = .alwaysTrue
      return true
    }
    tests[index].kind = .compares
    tests[index].highIsTrue = true
    tests[index].place = Int32(coded.features[feature].place(answers))
    return tests[index].place < 1 << Self.placeBits
  }

  /// The cut that decides a test of order; nil for other tests, and for those that no value's order decides.
  private func orderedCut(_ node: TreeEnsemble<Value>.Node) -> Value? {
    switch node.mode {
    case .less, .greaterOrEqual: node.value.isNaN ? nil : node.value
    case .lessOrEqual, .greater: node.value < .infinity ? node.value.nextUp : nil
    default: nil
    }
  }

  /// Sets 1 for each rank, and at the end for NaN, where the test of `node` holds; false when that is too much work.
  private mutating func mark(
    _ answers: inout [UInt8], _ node: TreeEnsemble<Value>.Node, _ feature: Int
  ) -> Bool {
    let missing = answers.count - 1
    if ensemble.test(node, .nan) { answers[missing] = 1 }
    if node.mode == .equal {
      answersLeft -= 1
      // Between the cut at the value and the next there is only the value.
      if !node.value.isNaN { answers[coded.features[feature].rank(node.value)] = 1 }
      return answersLeft >= 0
    }
    answersLeft -= answers.count
    guard answersLeft >= 0 else { return false }
    // Below a cut at negative infinity there is nothing, so any answer will do.
    if ensemble.test(node, -.infinity) { answers[0] = 1 }
    for rank in 1..<missing where ensemble.test(node, coded.features[feature].cuts[rank - 1]) { answers[rank] = 1 }
    return true
  }

  /// Appends the tree of `root`; false when it does not fit.
  private mutating func expand(_ root: UInt32) -> Bool {
    // Copies of shared sub-trees may take as much again as all nodes.
    let mostNodes = 2 * ensemble.nodes.count
    let firstNode = coded.nodes.count
    var leaves: [TreeEnsemble<Value>.Node] = []
    var depth = 0
    /// A sub-tree to be appended: its parent's place in the tree, and whether it is the high child.
    var stack: [(node: UInt32, parent: Int, isHigh: Bool, depth: Int)] = [(root, -1, false, 0)]
    while let next = stack.popLast() {
      var index = Int(next.node)
      while !ensemble.nodes[index].isLeaf {
        // Only where a way leads: of a chain of tests, the first.
        if tests[index].kind == .unknown, !code(index) { return false }
        if tests[index].kind == .compares { break }
        index = Int(tests[index].kind == .alwaysTrue ? ensemble.nodes[index].whenTrue : tests[index].whenFalse)
      }
      let node = ensemble.nodes[index]
      let place: Int32
      if node.isLeaf {
        guard leaves.count < Self.maximumLeaves else { return false }
        place = ~Int32(leaves.count)
        leaves.append(node)
      } else {
        guard coded.nodes.count < mostNodes else { return false }
        let test = tests[index]
        place = Int32(coded.nodes.count - firstNode)
        depth = max(depth, next.depth + 1)
        coded.nodes.append(
          .init(column: test.feature << Self.placeBits | test.place, threshold: test.threshold, low: 0, high: 0))
        let (low, high) = test.highIsTrue ? (test.whenFalse, node.whenTrue) : (node.whenTrue, test.whenFalse)
        stack.append((high, Int(place), true, next.depth + 1))
        stack.append((low, Int(place), false, next.depth + 1))
      }
      guard next.parent >= 0 else { continue }
      if next.isHigh {
        coded.nodes[firstNode + next.parent].high = place
      } else {
        coded.nodes[firstNode + next.parent].low = place
      }
    }
    let firstOutput = coded.outputs.count
    let firstValue = coded.values.count
    guard appendValues(leaves) else { return false }
    coded.trees.append(
      .init(
        firstNode: firstNode, nodes: coded.nodes.count - firstNode, leaves: leaves.count, firstValue: firstValue,
        firstOutput: firstOutput, outputs: coded.outputs.count - firstOutput, depth: depth))
    return true
  }

  /// Appends what leaves add, and to which targets: the same for all leaves of a tree, or false.
  private mutating func appendValues(_ leaves: [TreeEnsemble<Value>.Node]) -> Bool {
    if ensemble.targets == 1 {
      coded.outputs.append(0)
      for leaf in leaves { coded.values.append(leaf.value) }
      return true
    }
    let count = Int(leaves[0].whenFalse)
    guard count * leaves.count <= 1 << 24 else { return false }
    for output in 0..<count {
      let target = ensemble.weights[Int(leaves[0].whenTrue) + output].target
      coded.outputs.append(UInt32(target))
      for leaf in leaves {
        guard leaf.whenFalse == leaves[0].whenFalse else { return false }
        let weight = ensemble.weights[Int(leaf.whenTrue) + output]
        guard weight.target == target else { return false }
        coded.values.append(weight.value)
      }
    }
    return leaves.allSatisfy { Int($0.whenFalse) == count }
  }
}
