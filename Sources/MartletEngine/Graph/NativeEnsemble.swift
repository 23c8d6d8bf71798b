/// The trees of a booster's own file, as its loader hands them to the engine: the attribute `ensemble` of the
/// operator `TreeEnsemble` of the domain `ai.martlet`.
///
/// Nothing here is trusted: the operator checks that indices name nodes, features, sets and outputs that exist, and
/// that no path returns to a node.
public struct NativeEnsemble: Sendable {
  /// The type in which thresholds are compared and leaves are summed.
  public enum Precision: Sendable {
    case single
    case double
  }

  /// How a node decides; true goes to `whenTrue`.
  public enum Test: UInt8, BitwiseCopyable, Sendable {
    case less
    case lessOrEqual
    /// The value, cut to a whole number, is in a set; negative and missing values are in none.
    case category
    case leaf
  }

  public struct Node: BitwiseCopyable, Sendable {
    /// The threshold; of a leaf what it adds, or the index of its vector; of a category test the index of its set.
    public var value: Double
    /// Index of the child when the test holds; of a leaf the number by which its library calls it.
    public var whenTrue: UInt32
    /// Index of the child when the test does not hold.
    public var whenFalse: UInt32
    public var feature: Int32
    public var test: Test
    /// Where a missing value (NaN) goes, whatever the test.
    public var missingGoesTrue: Bool

    public init(
      test: Test, feature: Int32, missingGoesTrue: Bool, value: Double, whenTrue: UInt32, whenFalse: UInt32
    ) {
      self.test = test
      self.feature = feature
      self.missingGoesTrue = missingGoesTrue
      self.value = value
      self.whenTrue = whenTrue
      self.whenFalse = whenFalse
    }
  }

  public var precision: Precision
  public var nodes: [Node]
  /// Each tree's first node, in the order in which trees are summed.
  public var roots: [UInt32]
  /// The output that each tree adds to.
  public var outputOfTree: [Int32]
  public var outputs: Int
  /// Members of each set that category tests name.
  public var categories: [[Int64]]
  /// `[vectors, outputs]`: what leaves add to all outputs at once; empty where each leaf adds one number to the output of
  /// its tree.
  public var leafVectors: [Double] = []
  /// Whether a value between -1 and 0 is cut to category 0 (LightGBM); otherwise it is no category (XGBoost).
  public var categoryZeroFromBelow = false
  /// What the sum of each output begins with, before the first tree.
  public var startsAt: [Double]

  public init(precision: Precision, outputs: Int, startsAt: [Double]) {
    self.precision = precision
    self.outputs = outputs
    self.startsAt = startsAt
    nodes = []
    roots = []
    outputOfTree = []
    categories = []
  }
}
