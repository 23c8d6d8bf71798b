/// One node at a time from the root to a leaf, on the ensemble as it was built: every shape, and the reference for all
/// other kinds.
final class WalkPlan<Value: TreeValue>: TreePlan<Value>, @unchecked Sendable {
  // `@unchecked Sendable`: as the base class says.
  private let ensemble: TreeEnsemble<Value>
  private let aggregate: TreeAggregate

  override class var kind: String { "walk" }

  required init?(_ ensemble: TreeEnsemble<Value>, _ aggregate: TreeAggregate) {
    self.ensemble = ensemble
    self.aggregate = aggregate
    super.init(ensemble, aggregate)
  }

  override var bytes: Int { ensemble.bytes }

  override func add(
    _ rows: UnsafePointer<Value>, stride: Int, count: Int, to scores: TreeScores<Value>,
    temporary: UnsafeMutableRawPointer
  ) {
    Value.walk(ensemble, aggregate, rows, stride: stride, count: count, to: scores)
  }
}
