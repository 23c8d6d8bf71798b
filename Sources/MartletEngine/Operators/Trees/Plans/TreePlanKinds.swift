/// The plan kinds that the planner tries, by the type of values: the one place where a kind is registered.
enum TreePlanKinds {
  static let float: [TreePlan<Float>.Type] = [
    WalkPlan<Float>.self
  ]

  static let double: [TreePlan<Double>.Type] = [
    WalkPlan<Double>.self
  ]
}
