/// How an inner node decides: true goes to its true child.
enum BranchMode: UInt8, Sendable {
  case lessOrEqual = 0
  case less = 1
  case greaterOrEqual = 2
  case greater = 3
  case equal = 4
  case notEqual = 5
  /// The value is in a set.
  case member = 6
  case leaf = 7
}

/// Decision trees in the form in which they are evaluated: checked, without ids, immutable.
///
/// Invariants (`TreeEnsembleBuilder` establishes them): children and roots are indices of nodes, no path returns to a
/// node, a leaf's weights are a range of `weights`, every target is in `0..<targets`. Nodes of a tree lie together in
/// the order of a walk that takes the false child first, so one of the two is usually the next in memory.
struct TreeEnsemble<Value: TreeValue>: Sendable {
  /// 16 bytes with single precision, 24 with double.
  struct Node: BitwiseCopyable {
    /// The threshold; of a leaf its only weight where the ensemble has one target; of a member test the set's index.
    var value: Value
    /// Index of the child when the test holds; of a leaf the index of its first weight.
    var whenTrue: UInt32
    /// Index of the child when it does not; of a leaf the number of its weights.
    var whenFalse: UInt32
    /// Feature in the low 24 bits, above them the mode, and whether a missing value goes to the true child.
    private var word: UInt32

    init(mode: BranchMode, feature: Int, tracksTrue: Bool, value: Value, whenTrue: Int, whenFalse: Int) {
      self.value = value
      self.whenTrue = UInt32(whenTrue)
      self.whenFalse = UInt32(whenFalse)
      word = UInt32(feature) | UInt32(mode.rawValue) << 24 | (tracksTrue ? 1 << 31 : 0)
    }

    @inline(__always) var feature: Int { Int(word & 0xff_ffff) }
    @inline(__always) var mode: BranchMode { BranchMode(rawValue: UInt8(word >> 24 & 7)).unsafelyUnwrapped }
    @inline(__always) var isLeaf: Bool { word >> 24 & 7 == UInt32(BranchMode.leaf.rawValue) }
    @inline(__always) var tracksTrue: Bool { word >> 31 != 0 }
  }

  /// What a leaf adds to one target.
  struct Weight: BitwiseCopyable {
    var target: Int32
    var value: Value
  }

  /// The most features that a node can name.
  static var maximumFeatures: Int { 1 << 24 }

  let nodes: [Node]
  /// Index of each tree's first node, in the order in which trees are summed.
  let roots: [UInt32]
  let weights: [Weight]
  let sets: [MemberSet<Value>]
  let targets: Int
  /// The mode that all inner nodes have; nil when they differ (or there are none).
  let commonMode: BranchMode?
  /// Whether any node sends missing values to its true child.
  let tracksMissing: Bool
  /// One more than the greatest feature that a node reads.
  let features: Int
  /// Whether each target has a tree all of whose leaves have a weight for it: then every row has a score for every
  /// target. Always so with one target, where a leaf without weights counts with its node's value.
  let scoresEveryTarget: Bool
  /// The features that are functions of a category, when rows have categories' codes.
  var categories: CategoryFeatures<Value>?

  /// Columns that a row has at least.
  var rowWidth: Int { categories?.rowWidth ?? features }

  /// Bytes of nodes and weights; sets are small beside them.
  var bytes: Int {
    nodes.count * MemoryLayout<Node>.stride + roots.count * MemoryLayout<UInt32>.stride
      + weights.count * MemoryLayout<Weight>.stride
  }
}

/// A set of a member test.
///
/// A set of whole numbers of which one is not in 0...30 takes a value without its fraction, as ONNX Runtime does;
/// every other set wants the exact value. A set of categories takes values without their fraction and knows none below
/// `least`, infinite or NaN.
struct MemberSet<Value: TreeValue>: Sendable {
  let whole: [Int64]
  let exact: [Value]
  /// Smaller values are in no set.
  let least: Value

  init(_ members: [Value]) {
    let integers = members.compactMap { Int64(exactly: $0) }
    if integers.count == members.count, !integers.allSatisfy({ (0...30).contains($0) }) {
      whole = integers.sorted()
      exact = []
    } else {
      whole = []
      exact = members.sorted()
    }
    least = -.infinity
  }

  /// The set of categories `members`; a value above -1 and below 0 is category 0 when `zeroFromBelow`, or else none.
  init(categories members: [Int64], zeroFromBelow: Bool) {
    // What is in order already is not copied.
    whole = zip(members, members.dropFirst()).allSatisfy { $0 <= $1 } ? members : members.sorted()
    exact = []
    least = zeroFromBelow ? Value(-1).nextUp : 0
  }

  func contains(_ value: Value) -> Bool {
    if whole.isEmpty { return Self.search(exact, value) }
    // Negated, so that NaN is in no set of categories either.
    if least > -.infinity, !(value >= least) { return false }
    // What the conversion of processors of the x86 family gives for all that no 64-bit number equals.
    let integer = value >= -0x1p63 && value < 0x1p63 ? Int64(value) : .min
    return Self.search(whole, integer)
  }

  private static func search<T: Comparable>(_ sorted: [T], _ value: T) -> Bool {
    var low = 0
    var high = sorted.count
    while low < high {
      let middle = (low + high) / 2
      if sorted[middle] < value { low = middle + 1 } else { high = middle }
    }
    return low < sorted.count && sorted[low] == value
  }
}
