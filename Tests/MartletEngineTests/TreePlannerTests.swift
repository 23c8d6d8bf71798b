import MartletCore
import Testing

@testable import MartletEngine

@Suite("Planner of tree ensembles")
struct TreePlannerTests {
  private func ensemble(trees: Int = 20, seed: UInt64 = 5) -> RandomEnsemble<Float> {
    var random = SplitMix(seed)
    return RandomEnsemble(EnsembleShape(trees: trees, features: 12, depth: 6), &random)
  }

  /// A clock that each reading moves on.
  private final class Clock {
    var now: UInt64 = 0
    let step: UInt64

    init(step: UInt64) { self.step = step }

    func read() -> UInt64 {
      now += step
      return now
    }
  }

  @Test(
    "measuring stops when the time of the model is over, however long a batch takes", arguments: [200_000, 3_000_000])
  func bounded(step: UInt64) {
    let clock = Clock(step: step)
    let planning = TreePlanning(PlanningOptions(measuringNanoseconds: 50_000_000), ensembles: 2, clock: clock.read)
    for seed in [1, 2] as [UInt64] {
      _ = TreeScorer(ensemble(seed: seed).ensemble, .sum, label: "trees \(seed)", planning)
    }
    // A batch that has begun is finished, for each kind of both ensembles; here it takes one step.
    #expect(clock.now <= 50_000_000 + step * UInt64(8 * 2 * Float.planKinds.count))
    #expect(planning.reports.map(\.label) == ["trees 1", "trees 2"])
    for report in planning.reports {
      #expect(report.batches.map(\.rows) == [1, 8, 64, 512])
      #expect(report.batches[0].nanoseconds != nil)
      #expect(report.cost != nil)
      #expect(report.kinds.contains { $0.isKept })
      #expect(report.bytes > 0)
    }
  }

  @Test("each size is measured once before small ones use up the time")
  func survey() {
    // A reading takes 0.2 ms and each kind has 8, of which twelve timings of a single row alone would take more.
    let planning = TreePlanning(PlanningOptions(measuringNanoseconds: 50_000_000), clock: Clock(step: 200_000).read)
    _ = TreeScorer(ensemble().ensemble, .sum, label: "trees", planning)
    for kind in planning.reports[0].kinds { #expect(kind.nanoseconds.allSatisfy { $0 != nil }, "\(kind.name)") }
  }

  @Test("without time the first kind that takes the ensemble is its plan, and no cost is known")
  func unmeasured() {
    let planning = TreePlanning(PlanningOptions(measuringNanoseconds: 0))
    _ = TreeScorer(ensemble().ensemble, .sum, label: "trees", planning)
    let report = planning.reports[0]
    #expect(report.kinds.count == 1)
    #expect(report.kinds[0].isKept)
    #expect(Set(report.batches.map(\.kind)) == [report.kinds[0].name])
    #expect(report.cost == nil)
  }

  @Test("a kind that is forced is the plan of every size, or the walk where the ensemble does not fit it")
  func forced() throws {
    let made = ensemble()
    for kind in Float.planKinds {
      let planning = TreePlanning(PlanningOptions(treePlan: kind.kind))
      _ = TreeScorer(made.ensemble, .sum, label: "trees", planning)
      let report = planning.reports[0]
      let fits = kind.init(made.ensemble, .sum) != nil
      #expect(report.forced == kind.kind)
      #expect(Set(report.batches.map(\.kind)) == [fits ? kind.kind : "walk"])
      #expect(report.misfits == (fits ? [] : [kind.kind]))
    }
    #expect(throws: ModelError.self) { try PlanningOptions(treePlan: "fastest").check() }
    for name in TreePlanKinds.names { try PlanningOptions(treePlan: name).check() }
  }

  @Test("any number of rows gives the bits of the reference, whatever kinds the planner mixes")
  func mixed() {
    var random = SplitMix(9)
    for targets in [1, 3] {
      let shape = EnsembleShape(trees: 9, features: 5, targets: targets, depth: 4, tracksChance: 0.5)
      let made = RandomEnsemble<Float>(shape, &random)
      let starts = (0..<targets).map { Float($0) + 0.1 }
      let scorer = TreeScorer(made.ensemble, .sum, startsAt: starts, label: "", TreePlanning(PlanningOptions()))
      let rows = made.rows(512, stride: 7, hasMissing: true, &random)
      for count in [0, 1, 2, 3, 9, 63, 64, 65, 127, 130, 200, 512] {
        var values = [[Float]](repeating: [Float](repeating: 0, count: count * targets + 1), count: 2)
        var isScored = [[Bool]](repeating: [Bool](repeating: false, count: count * targets + 1), count: 2)
        for index in 0..<2 {
          values[index].withUnsafeMutableBufferPointer { values in
            isScored[index].withUnsafeMutableBufferPointer { isScored in
              let scores = TreeScores(values: values.baseAddress!, isScored: isScored.baseAddress!)
              if index == 0 {
                made.ensemble.aggregate(.sum, rows, stride: 7, count: count, into: scores, startsAt: starts)
              } else {
                let memory = TemporaryMemory()
                scorer.score(
                  rows, stride: 7, count: count, into: scores,
                  temporary: memory.reserve(scorer.temporaryBytes(rows: count)))
              }
            }
          }
        }
        #expect(values[0].map(\.bitPattern) == values[1].map(\.bitPattern), "\(count) rows")
        if targets > 1 { #expect(isScored[0] == isScored[1], "\(count) rows") }
      }
    }
  }

  @Test("a cost curve is the line through two batches, with no negative part")
  func cost() {
    #expect(ScoringCost((1, 30), (11, 130)) == ScoringCost(fixed: 20, perRow: 10))
    #expect(ScoringCost((1, 30), (1, 30)) == ScoringCost(fixed: 0, perRow: 30))
    #expect(ScoringCost((1, 30), (11, 20)) == ScoringCost(fixed: 30, perRow: 0))
    #expect(ScoringCost(fixed: 20, perRow: 10).nanoseconds(rows: 4) == 60)
  }
}
