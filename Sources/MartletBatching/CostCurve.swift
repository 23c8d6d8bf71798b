import MartletCore

/// What a batch of a plan takes, learned from those before it: `fixed + perRow * rows` nanoseconds.
///
/// Least squares over an exponentially fading past. Before the first observation it predicts 0: nothing is known, so
/// nothing is held back.
public struct CostCurve: Sendable {
  /// How much an observation counts less with each that follows it.
  private static let fade = 0.98

  private var weight = 0.0
  private var sumRows = 0.0
  private var sumTime = 0.0
  private var sumRowsSquared = 0.0
  private var sumRowsTime = 0.0

  /// Nanoseconds of a batch whatever its size.
  public private(set) var fixed = 0.0
  /// Nanoseconds that each row adds.
  public private(set) var perRow = 0.0
  /// Whether batches of several sizes have told the two apart.
  private var isLine = false

  public init() {}

  /// A curve that knows what was measured when the model was loaded, as much as a few observations know.
  public init(_ measured: ScoringCost?) {
    guard let measured else { return }
    for _ in 0..<4 {
      for rows in [1, 16, 256] { observe(rows: rows, nanoseconds: UInt64(min(measured.nanoseconds(rows: rows), 1e15))) }
    }
  }

  public mutating func observe(rows: Int, nanoseconds: UInt64) {
    guard rows > 0 else { return }
    let x = Double(rows)
    // One interruption by the system must not look like the cost of a row.
    let known = fixed + perRow * x
    let y = weight > 4 ? min(Double(nanoseconds), 8 * known + 10_000) : Double(nanoseconds)
    weight = weight * Self.fade + 1
    sumRows = sumRows * Self.fade + x
    sumTime = sumTime * Self.fade + y
    sumRowsSquared = sumRowsSquared * Self.fade + x * x
    sumRowsTime = sumRowsTime * Self.fade + x * y
    let spread = weight * sumRowsSquared - sumRows * sumRows
    if spread > 1e-9 * weight * sumRowsSquared {
      perRow = (weight * sumRowsTime - sumRows * sumTime) / spread
      fixed = (sumTime - perRow * sumRows) / weight
      isLine = true
    }
    if spread <= 1e-9 * weight * sumRowsSquared || perRow < 0 || fixed < 0 {
      // Batches of one size only, or a line through noise: everything is the rows' cost.
      fixed = 0
      perRow = sumTime / sumRows
    }
  }

  /// Nanoseconds that `rows` rows will take.
  public func predict(rows: Int) -> UInt64 { UInt64(max(0, min(fixed + perRow * Double(rows), 1e18))) }

  /// Whether rows are cheaper in a larger batch than in one of so many: most of it is what a batch takes whatever its
  /// size. As long as that is not known, they may be.
  public func waitingPays(rows: Int) -> Bool { !isLine || fixed > perRow * Double(rows) }

  /// Nanoseconds that `rows` more rows add to a batch.
  public func marginal(rows: Int) -> UInt64 { UInt64(max(0, min(perRow * Double(rows), 1e18))) }

  /// Rows of a part of a batch that should take `nanoseconds`: no fewer than cost as much as a batch of any size does,
  /// since parts of a row or two would make the whole take many times as long.
  public func part(within nanoseconds: UInt64, limit: Int) -> Int {
    rows(within: max(nanoseconds, UInt64(min(2 * fixed, 1e18))), limit: limit)
  }

  /// The most rows that fit into `nanoseconds`, at least 1, at most `limit`.
  public func rows(within nanoseconds: UInt64, limit: Int) -> Int {
    guard perRow > 0 else { return max(1, limit) }
    let rows = (Double(nanoseconds) - fixed) / perRow
    return rows >= Double(limit) ? max(1, limit) : max(1, Int(max(0, rows)))
  }
}
