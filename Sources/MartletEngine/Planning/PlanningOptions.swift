#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// How a model is planned.
public struct PlanningOptions: Sendable {
  /// Time that a model's tree ensembles may be measured for, in nanoseconds; 0 takes the kinds that are usually
  /// fastest.
  public var measuringNanoseconds: UInt64
  /// The kind that every ensemble shall have. One whose shape the kind does not take is walked node by node.
  public var treePlan: String?

  /// 50 ms for each model.
  public static let standardNanoseconds: UInt64 = 50_000_000

  public init(measuringNanoseconds: UInt64 = standardNanoseconds, treePlan: String? = nil) {
    self.measuringNanoseconds = measuringNanoseconds
    self.treePlan = treePlan
  }

  /// The same with the kind that the environment's `MARTLET_PLAN` names, when it names one.
  public func withEnvironment() -> PlanningOptions {
    guard let kind = getenv("MARTLET_PLAN").map({ String(cString: $0) }), !kind.isEmpty else { return self }
    return PlanningOptions(measuringNanoseconds: measuringNanoseconds, treePlan: kind)
  }

  /// Errors: a kind that does not exist.
  func check() throws(ModelError) {
    guard let treePlan, !TreePlanKinds.names.contains(treePlan) else { return }
    throw ModelError(
      "'\(treePlan.prefix(40))' is no plan kind (MARTLET_PLAN), expected \(TreePlanKinds.names.joined(separator: ", "))"
    )
  }
}
