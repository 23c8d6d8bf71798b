import CKernels
import Glibc
import Testing

@testable import MartletEngine

/// Coded plan kinds in every variant that this processor can run, against the reference walk.
///
/// MARTLET_PROVE_MODELS is how many random ensembles are made in all (default: 112, half of them in double precision),
/// MARTLET_PROVE_SEED where their sequence begins.
@Suite("Coded plan kinds of tree ensembles")
struct CodedPlanTests {
  private static func environment(_ name: String, default value: Int) -> Int {
    getenv(name).flatMap { Int(String(cString: $0)) } ?? value
  }

  private static let parts = 8
  private static let models = environment("MARTLET_PROVE_MODELS", default: 112)
  private static let seed = environment("MARTLET_PROVE_SEED", default: 1)

  /// The processor levels to test.
  private static let levels = 0...martlet_cpu_highest()

  private func plans<Value: TreeValue>(
    _ ensemble: TreeEnsemble<Value>, _ aggregate: TreeAggregate
  ) -> [(name: String, plan: TreePlan<Value>)] {
    var plans: [(String, TreePlan<Value>)] = []
    let source = PlanSource(ensemble, aggregate)
    for level in Self.levels {
      if let plan = SelectPlan(source, level: level) { plans.append(("select \(level)", plan)) }
      if let plan = RowPlan(source, level: level) { plans.append(("rows \(level)", plan)) }
      if let plan = RowPlan(source, level: level, width: .word) { plans.append(("wide rows \(level)", plan)) }
      if let plan = PlanePlan(source, level: level) { plans.append(("planes \(level)", plan)) }
    }
    return plans
  }

  /// Bits of a value and whether it is a score.
  private struct Score: Equatable {
    var bits: UInt64
    var isScored: Bool
  }

  private func collect<Value: TreeValue>(
    _ ensemble: TreeEnsemble<Value>, count: Int, _ body: (TreeScores<Value>) -> Void
  ) -> [Score] {
    var values = [Value](repeating: 0, count: count * ensemble.targets)
    var isScored = [Bool](repeating: ensemble.scoresEveryTarget, count: values.count)
    values.withUnsafeMutableBufferPointer { values in
      isScored.withUnsafeMutableBufferPointer { isScored in
        body(TreeScores(values: values.baseAddress!, isScored: isScored.baseAddress!))
      }
    }
    return zip(values, isScored).map {
      Score(bits: Double($0).bitPattern, isScored: ensemble.targets == 1 || $1)
    }
  }

  /// Compares all plans on rows of every kind of value; returns the names of the plans that took the ensemble.
  @discardableResult
  private func compare<Value: TreeValue>(
    _ made: RandomEnsemble<Value>, counts: [Int], label: String, _ random: inout SplitMix
  ) -> Set<String> {
    let ensemble = made.ensemble
    let plans = plans(ensemble, .sum)
    let stride = max(1, ensemble.features + Int.random(in: 0...3, using: &random))
    let starts = (0..<ensemble.targets).map { _ in Value(Float.random(in: -2...2, using: &random)) }
    for count in counts {
      let rows = made.rows(count, stride: stride, hasMissing: random.chance(0.6), &random)
      let expected = collect(ensemble, count: count) { scores in
        ensemble.aggregate(.sum, rows, stride: stride, count: count, into: scores, startsAt: starts)
      }
      // Memory of the exact size, so that a sanitizer sees what is read behind the last row.
      let input = UnsafeMutablePointer<Value>.allocate(capacity: count * stride)
      input.initialize(from: rows, count: count * stride)
      defer { input.deallocate() }
      for (name, plan) in plans {
        let bytes = plan.temporaryBytes(rows: count)
        let temporary = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes + 64, alignment: 64)
        defer { temporary.deallocate() }
        temporary.initializeMemory(as: UInt8.self, repeating: 0xa5)
        let actual = collect(ensemble, count: count) { scores in
          for place in 0..<(count * ensemble.targets) { scores.values[place] = starts[place % ensemble.targets] }
          plan.add(input, stride: stride, count: count, to: scores, temporary: temporary.baseAddress!)
        }
        #expect(temporary[bytes...].allSatisfy { $0 == 0xa5 }, "\(label), \(name): wrote behind its memory")
        if let place = expected.indices.first(where: { expected[$0] != actual[$0] }) {
          Issue.record("\(label), \(name), \(count) rows: \(actual[place]) at \(place), expected \(expected[place])")
        }
      }
    }
    return Set(plans.map(\.name))
  }

  /// A shape that coded kinds can take: one weight a leaf, or none that differ in their targets.
  private static func shape(_ random: inout SplitMix) -> EnsembleShape {
    var shape = EnsembleShape.random(&random)
    shape.trees = Int.random(in: 1...10, using: &random)
    shape.depth = [1, 2, 3, 4, 5, 6, 7, 8, 12].randomElement(using: &random)!
    if shape.depth == 12 { shape.leafChance = 0.3 }
    shape.targets = [1, 1, 1, 1, 2].randomElement(using: &random)!
    shape.weightsOfLeaf = 1
    return shape
  }

  @Test("every kind gives the bits of the walk in every variant of this processor", arguments: 0..<parts)
  func bits(part: Int) {
    var random = SplitMix(UInt64(truncatingIfNeeded: Self.seed &* 1_000_003 &+ part))
    var taken: Set<String> = []
    for index in 0..<(Self.models / Self.parts) {
      let shape = Self.shape(&random)
      let label = "seed \(Self.seed), part \(part), ensemble \(index): \(shape)"
      let counts = [
        1, Int.random(in: 2...9, using: &random), [63, 64, 65, 130, 300, 513].randomElement(using: &random)!,
      ]
      if index.isMultiple(of: 2) {
        taken.formUnion(compare(RandomEnsemble<Float>(shape, &random), counts: counts, label: label, &random))
      } else {
        taken.formUnion(compare(RandomEnsemble<Double>(shape, &random), counts: counts, label: label, &random))
      }
    }
    for level in Self.levels {
      for kind in ["select", "rows", "wide rows", "planes"] { #expect(taken.contains("\(kind) \(level)")) }
    }
  }
}
