import Testing

@testable import MartletEngine

@Suite("Plan kinds of tree ensembles")
struct TreePlanTests {
  /// Scores with every registered kind that takes the ensemble and compares the bits with the reference; returns the
  /// kinds that took it.
  private func compare<Value: TreeValue>(
    _ made: RandomEnsemble<Value>, _ aggregate: TreeAggregate, counts: [Int], label: String, _ random: inout SplitMix
  ) -> Set<String> {
    let ensemble = made.ensemble
    var taken: Set<String> = []
    let stride = ensemble.features + Int.random(in: 0...3, using: &random)
    let most = counts.max()!
    let inputs = [false, true].map { made.rows(most, stride: max(1, stride), hasMissing: $0, &random) }
    let starts = (0..<ensemble.targets).map { _ in Value(Float.random(in: -2...2, using: &random)) }
    for kind in Value.planKinds {
      guard let plan = kind.init(ensemble, aggregate) else { continue }
      taken.insert(kind.kind)
      #expect(plan.bytes > 0)
      for input in inputs {
        for count in counts {
          let expected = reference(ensemble, aggregate, input, stride: max(1, stride), count: count, starts)
          let actual = score(plan, ensemble, aggregate, input, stride: max(1, stride), count: count, starts)
          guard expected == actual else {
            let place = zip(expected, actual).enumerated().first { $0.element.0 != $0.element.1 }!
            Issue.record(
              "\(label), \(kind.kind), \(count) rows: \(place.element.1) at \(place.offset), expected \(place.element.0)"
            )
            return taken
          }
        }
      }
    }
    return taken
  }

  /// Bits of a value and whether it is a score.
  private struct Score: Equatable {
    var bits: UInt64
    var isScored: Bool
  }

  private func reference<Value: TreeValue>(
    _ ensemble: TreeEnsemble<Value>, _ aggregate: TreeAggregate, _ rows: [Value], stride: Int, count: Int,
    _ starts: [Value]
  ) -> [Score] {
    collect(ensemble, aggregate, count) { scores in
      ensemble.aggregate(aggregate, rows, stride: stride, count: count, into: scores, startsAt: starts)
    }
  }

  private func score<Value: TreeValue>(
    _ plan: TreePlan<Value>, _ ensemble: TreeEnsemble<Value>, _ aggregate: TreeAggregate, _ rows: [Value], stride: Int,
    count: Int, _ starts: [Value]
  ) -> [Score] {
    let isSum = aggregate == .sum || aggregate == .average
    let bytes = plan.temporaryBytes(rows: count)
    let guardBytes = 64
    let temporary = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes + guardBytes, alignment: 64)
    defer { temporary.deallocate() }
    temporary.initializeMemory(as: UInt8.self, repeating: 0xa5)
    // Copied to memory of its exact size, so that a sanitizer sees a read behind the last row.
    let input = UnsafeMutablePointer<Value>.allocate(capacity: max(1, count * stride))
    defer { input.deallocate() }
    input.initialize(from: rows, count: count * stride)
    let scores = collect(ensemble, aggregate, count) { scores in
      for place in 0..<(count * ensemble.targets) {
        scores.values[place] = starts[place % ensemble.targets]
        scores.isScored[place] = isSum && ensemble.scoresEveryTarget
      }
      plan.add(input, stride: stride, count: count, to: scores, temporary: temporary.baseAddress!)
    }
    #expect(temporary[bytes...].allSatisfy { $0 == 0xa5 }, "wrote behind its temporary memory")
    return scores
  }

  private func collect<Value: TreeValue>(
    _ ensemble: TreeEnsemble<Value>, _ aggregate: TreeAggregate, _ count: Int, _ body: (TreeScores<Value>) -> Void
  ) -> [Score] {
    var values = [Value](repeating: 0, count: count * ensemble.targets)
    var isScored = [Bool](repeating: false, count: values.count)
    values.withUnsafeMutableBufferPointer { values in
      isScored.withUnsafeMutableBufferPointer { isScored in
        body(TreeScores(values: values.baseAddress!, isScored: isScored.baseAddress!))
      }
    }
    // With one target a sum says nothing about what is scored: every row is.
    let tells = ensemble.targets > 1 || aggregate == .minimum || aggregate == .maximum
    return zip(values, isScored).map { Score(bits: Double($0).bitPattern, isScored: tells ? $1 : true) }
  }

  @Test("every kind gives the bits of the reference on random ensembles of any shape", arguments: 0..<8)
  func bits(part: UInt64) {
    var random = SplitMix(part &* 0x1234_5678)
    for index in 0..<25 {
      let shape = EnsembleShape.random(&random)
      let aggregate: TreeAggregate =
        random.chance(0.8) ? .sum : [.average, .minimum, .maximum].randomElement(using: &random)!
      let counts = [1, 2, 5, 8, 33, 64, 65]
      let label = "part \(part), ensemble \(index): \(shape) \(aggregate)"
      if random.chance(0.7) {
        let made = RandomEnsemble<Float>(shape, &random)
        #expect(compare(made, aggregate, counts: counts, label: label, &random).contains("walk"))
      } else {
        let made = RandomEnsemble<Double>(shape, &random)
        #expect(compare(made, aggregate, counts: counts, label: label, &random).contains("walk"))
      }
    }
  }

  @Test("chains, shared sub-trees, one-leaf trees and forests of deep trees give the bits of the reference")
  func hostileShapes() {
    var random = SplitMix(77)
    let shapes: [EnsembleShape] = [
      EnsembleShape(trees: 3, features: 2, depth: 3_000, isChain: true),
      EnsembleShape(trees: 2, features: 2, depth: 300, thresholds: 600, modes: [.equal], isChain: true),
      EnsembleShape(trees: 40, depth: 0),
      EnsembleShape(trees: 1, depth: 0),
      EnsembleShape(trees: 300, features: 30, depth: 1),
      EnsembleShape(trees: 6, features: 10, depth: 14, leafChance: 0.15, thresholds: 1_000),
      EnsembleShape(trees: 10, depth: 12, leafChance: 0, sharingChance: 0.4),
      EnsembleShape(trees: 30, features: 5, targets: 10, depth: 6, weightsOfLeaf: 1),
      EnsembleShape(trees: 5, features: 5_000, depth: 7, thresholds: 4),
    ]
    for (index, shape) in shapes.enumerated() {
      for tracksChance in [0, 0.5] {
        var shape = shape
        shape.tracksChance = tracksChance
        let label = "shape \(index), \(tracksChance)"
        _ = compare(RandomEnsemble<Float>(shape, &random), .sum, counts: [1, 3, 70], label: label, &random)
        _ = compare(RandomEnsemble<Double>(shape, &random), .sum, counts: [1, 3, 70], label: label, &random)
      }
    }
  }

  @Test("nodes of every size that the interleaved walk has give the bits of the reference, near and far")
  func nodeSizes() throws {
    var random = SplitMix(78)
    // Many columns and far children do not fit into one word.
    let wide = RandomEnsemble<Float>(EnsembleShape(trees: 1, features: 20_000, depth: 15, leafChance: 0), &random)
    #expect(try !#require(InterleavedPlan(wide.ensemble, .sum)).trees.isNarrow)
    _ = compare(wide, .sum, counts: [1, 11], label: "wide", &random)
    // More than a megabyte of nodes: some rows are walked one by one.
    let far = RandomEnsemble<Float>(EnsembleShape(trees: 40, features: 9, depth: 11, leafChance: 0), &random)
    let plan = try #require(InterleavedPlan(far.ensemble, .sum))
    #expect(plan.trees.isNarrow)
    #expect(plan.trees.fewRows > 8)
    _ = compare(far, .sum, counts: [1, 9, plan.trees.fewRows], label: "far", &random)
  }
}
