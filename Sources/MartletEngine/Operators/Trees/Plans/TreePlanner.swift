import MartletCore

/// Finds the fastest plan kinds of an ensemble by measuring them on its own rows.
///
/// Kinds are compiled one after the other, and only those that are the fastest for some size are kept, so that memory
/// stays low. Each kind gets an equal part of the time; what was not measured is extrapolated.
struct TreePlanner<Value: TreeValue> {
  /// A kind that was kept, with the time for each of `sizes`: measured, or extrapolated.
  struct Candidate {
    var plan: TreePlan<Value>
    var block: Int
    var nanoseconds: [Double]
  }

  /// Rows of the batches that are measured.
  static var sizes: [Int] { [1, 8, 64, 512] }

  private let ensemble: TreeEnsemble<Value>
  private let aggregate: TreeAggregate
  private let planning: TreePlanning
  private var report: EnsembleReport
  private var kept: [Candidate] = []

  /// At least one plan, and none that another one beats at every size.
  static func plan(
    _ ensemble: TreeEnsemble<Value>, _ aggregate: TreeAggregate, label: String, _ planning: TreePlanning
  ) -> [Candidate] {
    var planner = TreePlanner(ensemble, aggregate, label, planning)
    planner.tryKinds()
    planner.finish()
    return planner.kept
  }

  private init(
    _ ensemble: TreeEnsemble<Value>, _ aggregate: TreeAggregate, _ label: String, _ planning: TreePlanning
  ) {
    self.ensemble = ensemble
    self.aggregate = aggregate
    self.planning = planning
    report = EnsembleReport(
      label: label, precision: Value.self == Double.self ? .float64 : .float32, trees: ensemble.roots.count,
      nodes: ensemble.nodes.count, targets: ensemble.targets, kinds: [], misfits: [], batches: [],
      forced: planning.options.treePlan, cost: nil)
  }

  private mutating func tryKinds() {
    var kinds = Value.planKinds
    if let forced = planning.options.treePlan { kinds = kinds.filter { $0.kind == forced } + [WalkPlan<Value>.self] }
    let meter = planning.share > 0 ? TreeMeter(ensemble, aggregate, planning) : nil
    let source = PlanSource(ensemble, aggregate)
    for (index, kind) in kinds.enumerated() {
      guard let plan = kind.make(source) else {
        report.misfits.append(kind.kind)
        continue
      }
      let times =
        meter?.measure(plan, limit: planning.share / UInt64(kinds.count - index)) ?? Self.sizes.map { _ in nil }
      report.kinds.append(.init(name: kind.kind, bytes: plan.bytes, nanoseconds: times, isKept: false))
      kept.append(Candidate(plan: plan, block: kind.block, nanoseconds: Self.extrapolated(times, block: kind.block)))
      dropLosers()
      // The kind that was asked for; or without measuring the first that fits, as they are listed by merit.
      if planning.options.treePlan != nil || meter == nil { break }
    }
  }

  private mutating func dropLosers() {
    let winners = Set(Self.sizes.indices.map { winner(at: $0) })
    kept = kept.indices.filter { winners.contains($0) }.map { kept[$0] }
  }

  /// Index of the fastest at a size, the first of equal ones.
  private func winner(at size: Int) -> Int {
    kept.indices.min { kept[$0].nanoseconds[size] < kept[$1].nanoseconds[size] }!
  }

  /// Sizes that were not measured cost as the last one that was, block by block.
  private static func extrapolated(_ times: [Double?], block: Int) -> [Double] {
    var known = (rows: 1, nanoseconds: 0.0)
    return zip(sizes, times).map { size, time in
      if let time { known = (size, time) }
      return known.nanoseconds * TreeMeter<Value>.growth(from: known.rows, to: size, block: block)
    }
  }

  private mutating func finish() {
    let names = kept.map { type(of: $0.plan).kind }
    for index in report.kinds.indices { report.kinds[index].isKept = names.contains(report.kinds[index].name) }
    for (place, size) in Self.sizes.enumerated() {
      let name = names[winner(at: place)]
      let kind = report.kinds.first { $0.name == name }
      report.batches.append(.init(rows: size, kind: name, nanoseconds: kind?.nanoseconds[place]))
    }
    if report.batches[0].nanoseconds != nil {
      let times = Self.sizes.indices.map { kept[winner(at: $0)].nanoseconds[$0] }
      report.cost = ScoringCost((Self.sizes.first!, times.first!), (Self.sizes.last!, times.last!))
    }
    planning.finish(report)
  }
}
