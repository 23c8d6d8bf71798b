import CKernels
import Testing

@testable import MartletEngine

/// Kernels of a linear model's step against the same in Swift, number by number.
@Suite("Kernels of linear models")
struct LinearKernelTests {
  private static let numbers: [Float] = [
    .nan, .infinity, -.infinity, 0, -0.0, 1, -1, 0.5, 3.25, -7, 20, -20, 88, -88, 104, -104, 1e-37, -1e-37, 1e38, -1e38,
  ]

  private func number(_ random: inout SplitMix) -> Float {
    random.below(3) == 0
      ? Self.numbers[random.below(Self.numbers.count)] : Float(Int64(bitPattern: random.next()) >> 40) / 500_000
  }

  @Test("numbers go through each kind of operation with its own bits, whatever the rows")
  func stages() {
    var random = SplitMix(1)
    let kinds: [NumberStage.Kind] = [
      .replaceMissing, .replaceEqual, .scale, .add, .subtract, .subtractFrom, .multiply, .divide, .divideInto, .clip,
    ]
    for round in 0..<400 {
      let rows = 1 + random.below(64)
      let step = 1 + random.below(3)
      let targets = 1 + random.below(3)
      let from = (0..<rows * step).map { _ in number(&random) }
      let own = (0..<random.below(4)).map { _ in (kinds[random.below(kinds.count)], Float(2.5), Float(-0.75)) }
      let weights = (0..<targets).map { _ in Float(random.below(100)) - 50 }
      var sums = (0..<targets * 64).map { _ in Float(random.below(10)) }
      var expected = sums
      for row in 0..<rows {
        var value = from[row * step]
        for (kind, a, b) in own { NumberStage.apply(kind, &value, 1, [a], [b], step: 0) }
        for target in 0..<targets {
          expected[target * 64 + row] = expected[target * 64 + row].addingProduct(weights[target], value)
        }
      }
      martlet_add_staged_numbers(
        from, step, own.map { martlet_number_stage(kind: $0.0.kernel, a: $0.1, b: $0.2) }, own.count, weights, rows,
        targets, 64, &sums)
      let isSame = zip(sums, expected).allSatisfy { $0.bitPattern == $1.bitPattern || ($0.isNaN && $1.isNaN) }
      #expect(isSame, "round \(round): \(own.map(\.0)) of \(rows) rows")
    }
  }

  @Test("two scores a row become labels and probabilities with the bits of a row alone")
  func pairs() {
    var random = SplitMix(2)
    let labels: [Int64] = [7, -3]
    for rows in Array(1...40) + [512] {
      var scores = (0..<2 * rows).map { _ in number(&random) }
      // Some rows mirror each other, as those of a logistic regression do, and sometimes all.
      for row in 0..<rows where rows % 3 == 0 || random.below(2) == 0 { scores[2 * row + 1] = -scores[2 * row] }
      var found = [Float](repeating: -1, count: 2 * rows)
      martlet_logistic_pairs(scores, &found, rows)
      for (index, score) in scores.enumerated() {
        let expected = PostTransform.logistic(score)
        #expect(
          found[index].bitPattern == expected.bitPattern || (found[index].isNaN && expected.isNaN), "of \(score)")
      }
      var chosen = [Int64](repeating: 0, count: rows)
      martlet_greater_labels(scores, labels, &chosen, rows)
      for row in 0..<rows { #expect(chosen[row] == labels[scores[2 * row + 1] > scores[2 * row] ? 1 : 0]) }
    }
  }
}
