import MartletEngine

/// Turns the lines of trees into nodes: first those of a tree's tests, then its leaves.
struct LightGBMTreeBuilder {
  private typealias Mode = LightGBMTrees.Reading.Mode

  private let features: Int
  private let outputs: Int
  /// Bytes of a node here and in the engine, which lays it out anew; measured 110. The library writes some 40 to 55
  /// characters for one, a hostile file as few as 5.
  private static let bytesOfNode = 140
  /// Bytes of a set beside its members, of a leaf's linear function, and of a coefficient; lists that grow and their
  /// copies included.
  private static let bytesOfSet = 72
  private static let bytesOfFunction = 60
  private static let bytesOfCoefficient = 36

  private let memoryLimit: Int
  /// Bytes of what has been read.
  private var memory = 0
  private(set) var trees = LightGBMTrees()
  /// For each feature a bit for each mode in which a node reads it.
  private var modes: [UInt8]
  private var seen: [Bool] = []
  private var stack: [UInt32] = []

  init(features: Int, outputs: Int, memoryLimit: Int) {
    self.features = features
    self.outputs = outputs
    self.memoryLimit = memoryLimit
    modes = Array(repeating: 0, count: features)
    trees.ensemble = NativeEnsemble(
      precision: .double, outputs: outputs, startsAt: Array(repeating: 0, count: outputs))
  }

  /// Makes room for all nodes, so that no list grows while trees are read.
  mutating func reserve(nodes: Int) throws(ModelError) {
    guard nodes <= memoryLimit / Self.bytesOfNode else {
      throw ModelError("the trees claim \(nodes) nodes and leaves, more than a file of this size can describe")
    }
    trees.ensemble.nodes.reserveCapacity(nodes)
  }

  /// Counts memory before it is taken.
  private mutating func take(_ count: Int, each bytes: Int) throws(ModelError) {
    memory += count * bytes
    guard memory <= memoryLimit else {
      throw ModelError("what the trees describe takes more than \(memoryLimit) bytes, too much for a file of this size")
    }
  }

  mutating func add(_ text: LightGBMTreeText, tree: Int) throws(ModelError) {
    func error(_ problem: String) -> ModelError { ModelError("tree \(tree), \(problem)") }
    guard let line = text.leaves else { throw error("num_leaves: is missing") }
    guard let number = LightGBMNumber.integer(line), number >= 1 else {
      throw error("num_leaves: is \(line.excerpt), expected a whole number from 1")
    }
    let leaves = Int(number)
    let first = trees.ensemble.nodes.count
    guard first + 2 * leaves - 1 < 1 << 31 else { throw error("num_leaves: more than 2^31 nodes in all trees") }
    try take(2 * leaves - 1, each: Self.bytesOfNode)
    let firstSet = trees.ensemble.categories.count
    let sets = try addSets(text, tree: tree)
    try addTests(text, tree: tree, leaves: leaves, firstSet: firstSet, sets: sets)
    try addLeaves(text, tree: tree, leaves: leaves)
    try checkShape(first: first, leaves: leaves, tree: tree)
    trees.ensemble.roots.append(UInt32(first))
    trees.ensemble.outputOfTree.append(Int32(tree % outputs))
    try addLinear(text, tree: tree, leaves: leaves)
  }

  // MARK: Sets of categories

  /// Returns how many sets the tree has.
  private mutating func addSets(_ text: LightGBMTreeText, tree: Int) throws(ModelError) -> Int {
    guard let line = text.categorySets else { throw ModelError("tree \(tree), num_cat: is missing") }
    guard let number = LightGBMNumber.integer(line), number >= 0 else {
      throw ModelError("tree \(tree), num_cat: is \(line.excerpt), expected a whole number from 0")
    }
    let sets = Int(number)
    guard sets > 0 else { return 0 }
    var boundaries = try LightGBMTreeList(text.boundaries, "cat_boundaries", tree: tree, count: sets + 1)
    var words = try LightGBMTreeList(text.words, "cat_threshold", tree: tree, count: nil)
    var start = try boundaries.integer(0..<1)
    for _ in 0..<sets {
      let end = try boundaries.integer(start..<(start + 1 << 26))
      var members: [Int64] = []
      try take(1, each: Self.bytesOfSet)
      for position in 0..<(end - start) {
        var word = try words.word()
        try take(word.nonzeroBitCount, each: MemoryLayout<Int64>.stride)
        while word != 0 {
          members.append(Int64(position * 32 + word.trailingZeroBitCount))
          word &= word - 1
        }
      }
      trees.ensemble.categories.append(members)
      start = end
    }
    try boundaries.finish()
    try words.finish()
    return sets
  }

  // MARK: Nodes

  private mutating func addTests(
    _ text: LightGBMTreeText, tree: Int, leaves: Int, firstSet: Int, sets: Int
  ) throws(ModelError) {
    let tests = leaves - 1
    let first = trees.ensemble.nodes.count
    var featureList = try LightGBMTreeList(text.features, "split_feature", tree: tree, count: tests)
    var thresholds = try LightGBMTreeList(text.thresholds, "threshold", tree: tree, count: tests)
    var left = try LightGBMTreeList(text.left, "left_child", tree: tree, count: tests)
    var right = try LightGBMTreeList(text.right, "right_child", tree: tree, count: tests)
    // The first versions knew neither categories nor missing values.
    let zeros = text.decisions == nil
    var decisions = try LightGBMTreeList(text.decisions, "decision_type", tree: tree, count: zeros ? 0 : tests)
    /// A child is a test's index, or the complement of a leaf's.
    func child(_ index: Int) -> UInt32 { UInt32(first + (index >= 0 ? index : tests + ~index)) }
    for _ in 0..<tests {
      let feature = try featureList.integer(0..<features)
      // Bit 0: categorical; bit 1: missing values go left; bits 2 and 3: what is missing.
      let decision = zeros ? 0 : try decisions.integer(0..<12)
      var threshold = try thresholds.threshold()
      var mode = Mode(rawValue: UInt8(decision >> 2)) ?? .none
      var missingGoesLeft = decision & 2 != 0 && mode != .none
      if decision & 1 != 0 {
        guard threshold >= 0, threshold < Double(sets), threshold == threshold.rounded() else {
          throw thresholds.error("is \(threshold) at a test of categories, expected a set from 0 to \(sets - 1)")
        }
        threshold += Double(firstSet)
        mode = .category
        missingGoesLeft = false
      }
      modes[feature] |= 1 << mode.rawValue
      let whenTrue = child(try left.integer(-leaves..<tests))
      let whenFalse = child(try right.integer(-leaves..<tests))
      trees.ensemble.nodes.append(
        .init(
          test: mode == .category ? .category : .lessOrEqual,
          // Until all trees are read and each way of reading a feature has its index.
          feature: Int32(feature * 4 + Int(mode.rawValue)), missingGoesTrue: missingGoesLeft, value: threshold,
          whenTrue: whenTrue, whenFalse: whenFalse))
    }
    try featureList.finish()
    try thresholds.finish()
    try decisions.finish()
    try left.finish()
    try right.finish()
  }

  private mutating func addLeaves(_ text: LightGBMTreeText, tree: Int, leaves: Int) throws(ModelError) {
    var values = try LightGBMTreeList(text.values, "leaf_value", tree: tree, count: leaves)
    for leaf in 0..<leaves {
      trees.ensemble.nodes.append(
        .init(
          test: .leaf, feature: 0, missingGoesTrue: false, value: try values.output(), whenTrue: UInt32(leaf),
          whenFalse: 0))
    }
    try values.finish()
  }

  /// Every test and leaf of the tree hangs from its first test exactly once.
  private mutating func checkShape(first: Int, leaves: Int, tree: Int) throws(ModelError) {
    let count = 2 * leaves - 1
    func name(_ place: Int) -> String { place < leaves - 1 ? "test \(place)" : "leaf \(place - leaves + 1)" }
    seen.removeAll(keepingCapacity: true)
    seen.append(contentsOf: repeatElement(false, count: count))
    stack.removeAll(keepingCapacity: true)
    stack.append(UInt32(first))
    while let next = stack.popLast() {
      let place = Int(next) - first
      guard !seen[place] else {
        throw ModelError("tree \(tree), left_child and right_child: reach \(name(place)) twice, expected a tree")
      }
      seen[place] = true
      guard place < leaves - 1 else { continue }
      let node = trees.ensemble.nodes[Int(next)]
      stack.append(node.whenTrue)
      stack.append(node.whenFalse)
    }
    if let lost = seen.firstIndex(of: false) {
      throw ModelError("tree \(tree), left_child and right_child: do not reach \(name(lost)), expected a tree")
    }
  }

  // MARK: Linear leaves

  private mutating func addLinear(_ text: LightGBMTreeText, tree: Int, leaves: Int) throws(ModelError) {
    var isLinear = false
    if let line = text.isLinear {
      guard line.isText("0") || line.isText("1") else {
        throw ModelError("tree \(tree), is_linear: is \(line.excerpt), expected 0 or 1")
      }
      isLinear = line.isText("1")
    }
    if isLinear, !trees.linear.isPresent {
      // The trees before this one have constant leaves.
      trees.linear.isPresent = true
      for earlier in 0..<tree { try addConstants(ofTree: earlier) }
    }
    guard isLinear else {
      if trees.linear.isPresent { try addConstants(ofTree: tree) }
      return
    }
    try take(leaves, each: Self.bytesOfFunction)
    var constants = try LightGBMTreeList(text.constants, "leaf_const", tree: tree, count: leaves)
    var counts = try LightGBMTreeList(text.coefficientCounts, "num_features", tree: tree, count: leaves)
    var featureList = try LightGBMTreeList(
      text.coefficientFeatures, "leaf_features", tree: tree, count: nil)
    var coefficients = try LightGBMTreeList(text.coefficients, "leaf_coeff", tree: tree, count: nil)
    let firstLeaf = trees.ensemble.nodes.count - leaves
    for leaf in 0..<leaves {
      trees.linear.constants.append(try constants.output())
      trees.linear.values.append(trees.ensemble.nodes[firstLeaf + leaf].value)
      let count = try counts.integer(0..<(features + 1))
      let coefficientCount = trees.linear.coefficients.count + count
      guard coefficientCount < 1 << 31 else { throw counts.error("more than 2^31 coefficients in all trees") }
      for _ in 0..<count {
        try take(1, each: Self.bytesOfCoefficient)
        trees.linear.features.append(Int32(try featureList.integer(0..<features)))
        trees.linear.coefficients.append(try coefficients.output())
      }
      trees.linear.firstCoefficient.append(Int32(coefficientCount))
    }
    trees.linear.firstLeaf.append(Int32(trees.linear.constants.count))
    try constants.finish()
    try counts.finish()
    try featureList.finish()
    try coefficients.finish()
  }

  /// Leaves of a tree without linear functions, among others that have such.
  private mutating func addConstants(ofTree tree: Int) throws(ModelError) {
    let roots = trees.ensemble.roots
    let end = tree + 1 < roots.count ? Int(roots[tree + 1]) : trees.ensemble.nodes.count
    for node in Int(roots[tree])..<end where trees.ensemble.nodes[node].test == .leaf {
      try take(1, each: Self.bytesOfFunction)
      trees.linear.constants.append(trees.ensemble.nodes[node].value)
      trees.linear.values.append(trees.ensemble.nodes[node].value)
      trees.linear.firstCoefficient.append(Int32(trees.linear.coefficients.count))
    }
    trees.linear.firstLeaf.append(Int32(trees.linear.constants.count))
  }

  // MARK: Features

  /// Gives each way of reading a feature its index: the first of each feature has the feature's own.
  consuming func finish() throws(ModelError) -> LightGBMTrees {
    var indices = [Int32](repeating: -1, count: features * 4)
    var readings: [LightGBMTrees.Reading] = []
    for (feature, mask) in modes.enumerated() {
      let mode = Mode(rawValue: UInt8(mask == 0 ? 0 : mask.trailingZeroBitCount)) ?? .none
      indices[feature * 4 + Int(mode.rawValue)] = Int32(readings.count)
      readings.append(.init(feature: Int32(feature), mode: mode))
    }
    for (feature, mask) in modes.enumerated() {
      for mode in [Mode.zero, .nan, .category] where mask & 1 << mode.rawValue != 0 {
        let place = feature * 4 + Int(mode.rawValue)
        guard indices[place] < 0 else { continue }
        indices[place] = Int32(readings.count)
        readings.append(.init(feature: Int32(feature), mode: mode))
      }
    }
    for index in trees.ensemble.nodes.indices where trees.ensemble.nodes[index].test != .leaf {
      trees.ensemble.nodes[index].feature = indices[Int(trees.ensemble.nodes[index].feature)]
    }
    trees.readings = readings
    return trees
  }
}
