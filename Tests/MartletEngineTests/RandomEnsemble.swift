@testable import MartletEngine

/// A generator of pseudo-random numbers that gives the same sequence everywhere. Source: Steele and others,
/// "Fast splittable pseudorandom number generators", 2014 (SplitMix64).
struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  init(_ seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  mutating func chance(_ probability: Double) -> Bool { Double.random(in: 0..<1, using: &self) < probability }
}

/// Shapes of ensembles for tests that compare plan kinds with the reference.
struct EnsembleShape {
  var trees = 8
  var features = 6
  var targets = 1
  /// Levels of inner nodes; 0 makes one-leaf trees.
  var depth = 5
  /// How likely a node above the last level is a leaf.
  var leafChance = 0.1
  /// Distinct thresholds of a feature.
  var thresholds = 40
  /// One for all nodes, or several that are mixed.
  var modes: [BranchMode] = [.lessOrEqual]
  /// How likely a node sends missing values to its true child.
  var tracksChance = 0.0
  /// How likely a child is a sub-tree that hangs from another node already.
  var sharingChance = 0.0
  /// Whether every tree is one long path of `depth` nodes.
  var isChain = false
  /// The most weights of a leaf; a leaf may have none.
  var weightsOfLeaf = 1
  /// Whether some leaves have no weight at all.
  var hasEmptyLeaves = false
  /// Sets of member tests.
  var sets = 5

  /// A shape that nothing limits to what exporters write.
  static func random(_ random: inout SplitMix) -> EnsembleShape {
    var shape = EnsembleShape()
    shape.trees = Int.random(in: 1...24, using: &random)
    shape.features = [1, 3, 20, 64, 70, 300].randomElement(using: &random)!
    shape.targets = [1, 1, 1, 2, 3, 7].randomElement(using: &random)!
    shape.depth = [0, 1, 2, 4, 6, 8, 12].randomElement(using: &random)!
    shape.leafChance = [0, 0.1, 0.3].randomElement(using: &random)!
    shape.thresholds = [1, 3, 60, 254, 255, 256, 700].randomElement(using: &random)!
    shape.modes = [
      [.lessOrEqual], [.less], [.lessOrEqual], [.less], [.greaterOrEqual], [.greater], [.equal], [.notEqual],
      [.lessOrEqual, .equal], [.less, .equal, .member], [.less, .member],
      [.lessOrEqual, .less, .greaterOrEqual, .greater, .equal, .notEqual, .member],
    ].randomElement(using: &random)!
    shape.tracksChance = [0, 0, 0.5, 1].randomElement(using: &random)!
    shape.sharingChance = [0, 0, 0.1].randomElement(using: &random)!
    shape.isChain = random.chance(0.05)
    shape.weightsOfLeaf = [1, 1, shape.targets + 1].randomElement(using: &random)!
    shape.hasEmptyLeaves = random.chance(0.1)
    return shape
  }
}

/// An ensemble of a shape, with the values near which its decisions change.
struct RandomEnsemble<Value: TreeValue> {
  private(set) var ensemble: TreeEnsemble<Value>
  /// For each feature its thresholds and members of sets.
  private var levels: [[Value]]
  private let shape: EnsembleShape

  init(_ shape: EnsembleShape, _ random: inout SplitMix) {
    self.shape = shape
    var builder = TreeEnsembleBuilder<Value>()
    var levels = (0..<shape.features).map { _ in
      (0..<shape.thresholds).map { _ in Value(Float.random(in: -8...8, using: &random)) }
    }
    // Thresholds that are whole numbers, zeros of both signs and infinite, as categories and odd exporters have them.
    for feature in levels.indices where random.chance(0.3) {
      let odd: [Value] = [0, -0.0, 1, 2, .infinity, -.infinity, .leastNonzeroMagnitude, .nan]
      for place in levels[feature].indices where random.chance(0.1) {
        levels[feature][place] = odd.randomElement(using: &random)!
      }
    }
    if shape.modes.contains(.member) {
      for _ in 0..<max(1, shape.sets) {
        let limit = [4, 30, 200].randomElement(using: &random)!
        let members = (0..<Int.random(in: 0...12, using: &random)).map { _ in
          Value(Int.random(in: 0...limit, using: &random))
        }
        builder.sets.append(MemberSet(members))
        for feature in levels.indices where random.chance(0.5) { levels[feature] += members }
      }
    }
    for _ in 0..<shape.trees { Self.addTree(shape, levels, to: &builder, &random) }
    self.levels = levels
    ensemble = try! builder.build(targets: shape.targets)
  }

  private static func addTree(
    _ shape: EnsembleShape, _ levels: [[Value]], to builder: inout TreeEnsembleBuilder<Value>, _ random: inout SplitMix
  ) {
    let first = builder.sources.count
    builder.roots.append(UInt32(first))
    // Nodes that are finished: only they may be shared, so that no path returns.
    var finished: [UInt32] = []

    func addLeaf() -> UInt32 {
      let index = UInt32(builder.sources.count)
      builder.sources.append(
        .init(
          mode: .leaf, feature: 0, tracksTrue: false, value: Value(Float.random(in: -1...1, using: &random)),
          whenTrue: 0, whenFalse: 0))
      let weights =
        shape.hasEmptyLeaves && random.chance(0.2) ? 0 : Int.random(in: 1...shape.weightsOfLeaf, using: &random)
      for _ in 0..<weights {
        // Magnitudes that differ, so that another order of summation shows.
        let scale = Float(sign: .plus, exponent: Int.random(in: -12...4, using: &random), significand: 1)
        builder.leaves.append(
          .init(
            node: index, target: Int32.random(in: 0..<Int32(shape.targets), using: &random),
            value: Value(Float.random(in: -1...1, using: &random) * scale)))
      }
      finished.append(index)
      return index
    }

    func addNode(_ depth: Int) -> UInt32 {
      if !finished.isEmpty, depth < shape.depth, random.chance(shape.sharingChance) {
        return finished.randomElement(using: &random)!
      }
      if depth == 0 || (depth < shape.depth && !shape.isChain && random.chance(shape.leafChance)) { return addLeaf() }
      let index = builder.sources.count
      let mode = shape.modes.randomElement(using: &random)!
      let feature = Int.random(in: 0..<shape.features, using: &random)
      let value =
        mode == .member
        ? Value(Int.random(in: 0..<builder.sets.count, using: &random)) : levels[feature].randomElement(using: &random)!
      builder.sources.append(
        .init(
          mode: mode, feature: Int32(feature), tracksTrue: random.chance(shape.tracksChance), value: value,
          whenTrue: 0, whenFalse: 0))
      let isLeft = random.chance(0.5)
      let whenTrue = shape.isChain && isLeft ? addLeaf() : addNode(depth - 1)
      let whenFalse = shape.isChain && !isLeft ? addLeaf() : addNode(depth - 1)
      builder.sources[index].whenTrue = whenTrue
      builder.sources[index].whenFalse = whenFalse
      finished.append(UInt32(index))
      return UInt32(index)
    }
    _ = addNode(shape.depth)
  }

  /// Rows of `[count, stride]` that hold thresholds, their neighbours, categories, missing and infinite values.
  func rows(_ count: Int, stride: Int, hasMissing: Bool, _ random: inout SplitMix) -> [Value] {
    var rows = [Value](repeating: .nan, count: count * stride)
    for row in 0..<count {
      for feature in 0..<min(stride, shape.features) {
        let level = levels[feature].randomElement(using: &random)!
        var value: Value =
          switch Int.random(in: 0..<12, using: &random) {
          case 0...2: level
          case 3, 4: level.nextUp
          case 5, 6: level.nextDown
          case 7: hasMissing ? .nan : 0
          case 8: [.infinity, -.infinity, -0.0, 0].randomElement(using: &random)!
          case 9: level + 0.5
          default: Value(Float.random(in: -9...9, using: &random))
          }
        if value.isNaN && !hasMissing { value = 1 }
        rows[row * stride + feature] = value
      }
    }
    return rows
  }
}
