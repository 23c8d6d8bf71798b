import MartletCore

/// Measures a whole plan for its cost curve.
enum PlanMeter {
  /// A large batch; larger ones cost as much a row.
  private static let rows = 64
  private static let timings = 4

  /// The line through a batch of one row and one of many; nil when there is no time at all.
  ///
  /// The rows are made up and all alike, which flatters trees: their own measurements are the least that is believed.
  static func cost(of plan: GraphPlan, _ trees: TreePlanning) -> ScoringCost? {
    guard trees.options.measuringNanoseconds > 0 else { return nil }
    let signature = plan.signature
    let rowBytes = signature.inputs.reduce(0) { $0 + $1.width * $1.type.byteWidth }
    let many = rowBytes * rows <= 4 << 20 ? rows : 1
    let tile = Tile(plan: plan, capacity: many)
    for (index, input) in signature.inputs.enumerated() {
      let own = signature.columns.filter { $0.input == index }
      ModelInputs.fill(tile, index, input, rows: many) { own[$0].categories }
    }
    tile.rows = many
    let scratch = plan.makeScratch()
    var limit = max(1, trees.nanosecondsLeft / 2)

    func time(_ rows: Int) -> Double? {
      var best: Double?
      let began = trees.clock()
      for _ in 0..<timings {
        let start = trees.clock()
        guard (try? plan.score(tile, rows: 0..<rows, scratch: scratch)) != nil else { return nil }
        let now = trees.clock()
        best = min(best ?? .infinity, Double(now > start ? now - start : 0))
        if now - began > limit { break }
      }
      limit -= min(limit, trees.clock() - began)
      return best.map { best in
        max(best, plan.ensembles.reduce(0) { $0 + ($1.cost?.nanoseconds(rows: rows) ?? 0) })
      }
    }
    guard let one = time(1) else { return nil }
    guard many > 1, one * Double(many) < Double(limit) || plan.ensembles.isEmpty, let all = time(many) else {
      let trees = plan.ensembles.reduce(0) { $0 + ($1.cost?.perRow ?? 0) }
      return trees > 0 ? ScoringCost(fixed: max(0, one - trees), perRow: trees) : ScoringCost(fixed: 0, perRow: one)
    }
    return ScoringCost((1, one), (many, all))
  }
}
