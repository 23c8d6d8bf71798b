/// An operator that scores trees.
protocol TreesOperator: Operator {
  associatedtype Value: TreeValue
  var scorer: TreeScorer<Value> { get }

  /// The same operator on other trees; `ensemble` are the trees of `scorer`.
  init(_ other: Self, _ scorer: TreeScorer<Value>, _ ensemble: TreeEnsemble<Value>)
}

/// A step whose trees are planned when it is known what rows they read: until then they are walked node by node.
protocol PostponedTrees: AnyOperator {
  /// Whether the trees are not planned yet.
  var isPostponed: Bool { get }

  /// Whether the trees are of single precision.
  var isSingle: Bool { get }

  /// The step on rows of codes, its trees not planned either; nil when it cannot be.
  func reading(_ rows: CategoryRows) -> AnyOperator?

  /// The step with its trees planned.
  func planned(_ planning: TreePlanning) -> AnyOperator
}

extension OperatorBox: PostponedTrees where Wrapped: TreesOperator {
  var isPostponed: Bool { wrapped.scorer.postponed != nil }

  var isSingle: Bool { Wrapped.Value.self == Float.self }

  func reading(_ rows: CategoryRows) -> AnyOperator? {
    guard let ensemble = wrapped.scorer.postponed?.reading(rows) else { return nil }
    return OperatorBox(Wrapped(wrapped, wrapped.scorer.with(ensemble, nil), ensemble))
  }

  func planned(_ planning: TreePlanning) -> AnyOperator {
    guard let ensemble = wrapped.scorer.postponed else { return self }
    return OperatorBox(Wrapped(wrapped, wrapped.scorer.with(ensemble, planning), ensemble))
  }
}
