/// A loaded model in executable form: immutable, shared by all threads.
public protocol ScoringPlan: AnyObject, Sendable {
  var signature: ModelSignature { get }

  /// Which inputs take numbers in place of texts, in tiles that are made so (`Tile(plan:capacity:)`); nil when none
  /// does. A plan takes tiles of either kind, and the bits that come out are the same.
  var textCoding: TextCoding? { get }

  /// Memory for intermediate results, reused over calls; one for each thread that scores, never shared.
  func makeScratch() -> PlanScratch

  /// Reads `rows` of the tile's inputs and writes the same rows of its outputs. A row's result does not depend on
  /// which rows are scored with it. Texts among the outputs lie in the plan's constants or in the tile's heap.
  ///
  /// Errors: INVALID_ARGUMENT when a value is one that the model's operators refuse, INTERNAL otherwise.
  func score(_ tile: Tile, rows: Range<Int>, scratch: PlanScratch) throws(Status)

  /// One line for people about how this plan computes, for `describe`.
  var summary: String { get }

  /// What a batch takes, measured at load; nil when it was not.
  var costCurve: ScoringCost? { get }

  /// The tree ensembles among its steps, in order.
  var ensembles: [EnsembleReport] { get }
}

extension ScoringPlan {
  public var textCoding: TextCoding? { nil }
  public var costCurve: ScoringCost? { nil }
  public var ensembles: [EnsembleReport] { [] }
}

/// Base of the scratch memory of plans; confined to the thread that scores with it.
open class PlanScratch {
  public init() {}

  /// Bytes that it holds.
  open var bytes: Int { 0 }

  /// Lets go what it holds, between two calls; the next one makes it anew.
  open func drop() {}
}
