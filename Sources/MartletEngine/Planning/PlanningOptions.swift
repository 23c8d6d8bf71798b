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
  /// Whether steps are put together (`PlanRewrites`); the bits are the same either way.
  public var rewritesSteps: Bool

  /// 50 ms for each model.
  public static let standardNanoseconds: UInt64 = 50_000_000

  public init(
    measuringNanoseconds: UInt64 = standardNanoseconds, treePlan: String? = nil, rewritesSteps: Bool = true
  ) {
    self.measuringNanoseconds = measuringNanoseconds
    self.treePlan = treePlan
    self.rewritesSteps = rewritesSteps
  }

  /// The same with the kind that the environment's `MARTLET_PLAN` names, when it names one, and with the operators of
  /// the file one by one when `MARTLET_REWRITE` is `off`.
  public func withEnvironment() -> PlanningOptions {
    var options = self
    if let kind = getenv("MARTLET_PLAN").map({ String(cString: $0) }), !kind.isEmpty { options.treePlan = kind }
    if getenv("MARTLET_REWRITE").map({ String(cString: $0) }) == "off" { options.rewritesSteps = false }
    return options
  }

  /// Errors: a kind that does not exist.
  func check() throws(ModelError) {
    guard let treePlan, !TreePlanKinds.names.contains(treePlan) else { return }
    throw ModelError(
      "'\(treePlan.prefix(40))' is no plan kind (MARTLET_PLAN), expected \(TreePlanKinds.names.joined(separator: ", "))"
    )
  }
}
