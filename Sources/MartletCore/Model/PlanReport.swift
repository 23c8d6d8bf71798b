/// What scoring a batch takes: `fixed + perRow * rows` nanoseconds, as measured when the model was loaded.
public struct ScoringCost: Sendable, Equatable {
  /// Nanoseconds of a batch whatever its size.
  public var fixed: Double
  /// Nanoseconds that each row adds.
  public var perRow: Double

  public init(fixed: Double, perRow: Double) {
    self.fixed = fixed
    self.perRow = perRow
  }

  /// The line through two measured batches, with no negative part.
  public init(_ small: (rows: Int, nanoseconds: Double), _ large: (rows: Int, nanoseconds: Double)) {
    perRow =
      large.rows > small.rows
      ? max(0, (large.nanoseconds - small.nanoseconds) / Double(large.rows - small.rows))
      : small.nanoseconds / Double(max(1, small.rows))
    fixed = max(0, small.nanoseconds - perRow * Double(small.rows))
  }

  public func nanoseconds(rows: Int) -> Double { fixed + perRow * Double(rows) }
}

/// How a tree ensemble of a model is scored, for people and benchmarks.
public struct EnsembleReport: Sendable {
  /// A compiled form of the ensemble that was tried.
  public struct Kind: Sendable {
    public var name: String
    /// What it takes in memory, if it was kept.
    public var bytes: Int
    /// Measured time of each batch size of `EnsembleReport.batches`; nil where there was no time to measure it.
    public var nanoseconds: [Double?]
    /// Whether it was the fastest for any size; the others were freed.
    public var isKept: Bool

    public init(name: String, bytes: Int, nanoseconds: [Double?], isKept: Bool) {
      self.name = name
      self.bytes = bytes
      self.nanoseconds = nanoseconds
      self.isKept = isKept
    }
  }

  /// The kind that scores batches of about so many rows.
  public struct Batch: Sendable {
    public var rows: Int
    public var kind: String
    /// Of the whole batch; nil when it was not measured.
    public var nanoseconds: Double?

    public init(rows: Int, kind: String, nanoseconds: Double?) {
      self.rows = rows
      self.kind = kind
      self.nanoseconds = nanoseconds
    }
  }

  /// The operator in the model.
  public var label: String
  /// `float32` or `float64`: in what thresholds are compared and leaves are summed.
  public var precision: ElementType
  public var trees: Int
  /// Inner nodes and leaves.
  public var nodes: Int
  public var targets: Int
  public var kinds: [Kind]
  /// Kinds that do not take this ensemble.
  public var misfits: [String]
  public var batches: [Batch]
  /// The kind that was asked for, when one was.
  public var forced: String?
  /// Nil when nothing was measured.
  public var cost: ScoringCost?

  public init(
    label: String, precision: ElementType, trees: Int, nodes: Int, targets: Int, kinds: [Kind], misfits: [String],
    batches: [Batch], forced: String?, cost: ScoringCost?
  ) {
    self.label = label
    self.precision = precision
    self.trees = trees
    self.nodes = nodes
    self.targets = targets
    self.kinds = kinds
    self.misfits = misfits
    self.batches = batches
    self.forced = forced
    self.cost = cost
  }

  /// Bytes of the kinds that were kept.
  public var bytes: Int { kinds.reduce(0) { $0 + ($1.isKept ? $1.bytes : 0) } }
}
