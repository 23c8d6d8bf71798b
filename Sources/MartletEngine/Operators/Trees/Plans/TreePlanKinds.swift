/// The plan kinds that the planner tries, by the type of values: the one place where a kind is registered.
///
/// Listed by merit: without time to measure, the first that takes an ensemble is its plan. The walk, which takes every
/// ensemble, is the last.
enum TreePlanKinds {
  static let float: [TreePlan<Float>.Type] = [
    RowPlan<Float>.self,
    PlanePlan<Float>.self,
    SelectPlan<Float>.self,
    GatherPlan<Float>.self,
    InterleavedPlan<Float>.self,
    WalkPlan<Float>.self,
  ]

  static let double: [TreePlan<Double>.Type] = [
    RowPlan<Double>.self,
    PlanePlan<Double>.self,
    SelectPlan<Double>.self,
    GatherPlan<Double>.self,
    InterleavedPlan<Double>.self,
    WalkPlan<Double>.self,
  ]

  /// What `MARTLET_PLAN` may say.
  static var names: [String] {
    var names = double.map { $0.kind }
    for kind in float where !names.contains(kind.kind) { names.append(kind.kind) }
    return names.sorted()
  }
}
