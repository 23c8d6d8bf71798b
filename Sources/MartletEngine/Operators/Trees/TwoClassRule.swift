/// What ONNX Runtime makes of the sums of a classifier with one or two classes, which the specification leaves open.
///
/// Where all weights are of one class there is one score `s`. With weights that are all positive it is a probability:
/// the second class wins above 0.5 and the scores are `[1 - s, s]`. With mixed signs it is a margin: the second class
/// wins above 0 and the scores are `[-s, s]`. LOGISTIC makes both the logistic function of `[-s, s]`; of the other
/// transforms PROBIT alone is applied. Two base values turn the first score into the negative of the second; a single one is added
/// to the first.
struct TwoClassRule<Value: TreeValue>: Sendable {
  /// Whether there are two classes and all weights are of one of them.
  let hasOneScore: Bool
  private let isPositive: Bool
  private let baseValues: [Value]
  private let transform: PostTransform

  init(hasOneScore: Bool, isPositive: Bool, baseValues: [Value], transform: PostTransform) {
    self.hasOneScore = hasOneScore
    self.isPositive = isPositive
    self.baseValues = baseValues
    self.transform = transform
  }

  /// How one score becomes two.
  private enum Pair {
    case probability
    case margin
    /// ONNX Runtime leaves the second as it was in memory; here it is 0.
    case alone
  }

  private func decide(_ weight: Value, otherwise pair: Pair) -> (isSecond: Bool, pair: Pair) {
    guard hasOneScore else { return (weight > 0, pair) }
    return isPositive ? (weight > 0.5, .probability) : (weight > 0, .margin)
  }

  /// Writes the one score of a classifier with one class, and returns whether it is positive.
  func finish(one value: Value, _ row: UnsafeMutableBufferPointer<Float>) -> Bool {
    let score = value + (baseValues.first ?? 0)
    row[0] = transform == .probit ? PostTransform.probit(Float(score)) : Float(score)
    return score > 0
  }

  /// Writes the two scores of a row and returns which class won.
  func finish(
    _ values: UnsafeMutablePointer<Value>, _ isScored: UnsafeMutablePointer<Bool>,
    _ row: UnsafeMutableBufferPointer<Float>
  ) -> Int {
    var first = values[0]
    var second = values[1]
    var isPair = true
    var pair = Pair.alone
    switch baseValues.count {
    case 2 where isScored[1]:
      second = baseValues[1] + first
      first = -second
    // Both are written, whether or not a leaf had a weight for the first.
    case 2:
      second += baseValues[1]
      first += baseValues[0]
    case 1:
      first += baseValues[0]
      isPair = isScored[1]
    default:
      pair = .margin
      isPair = isScored[1]
    }
    let weight = isPair && isScored[1] ? second : isScored[0] ? first : 0
    let decision = decide(weight, otherwise: pair)
    if isPair {
      row[0] = isScored[0] ? Float(first) : 0
      row[1] = isScored[1] ? Float(second) : 0
      transform.apply(row)
    } else {
      write(one: isScored[0] ? first : 0, decision.pair, row)
    }
    return decision.isSecond ? 1 : 0
  }

  private func write(one score: Value, _ pair: Pair, _ row: UnsafeMutableBufferPointer<Float>) {
    if transform == .probit {
      row[0] = PostTransform.probit(Float(score))
      row[1] = 0
      return
    }
    switch pair {
    case .probability where transform != .logistic:
      row[0] = 1 - Float(score)
      row[1] = Float(score)
    case .margin where transform == .logistic, .probability:
      row[0] = PostTransform.logistic(-Float(score))
      row[1] = PostTransform.logistic(Float(score))
    case .margin:
      row[0] = -Float(score)
      row[1] = Float(score)
    case .alone:
      row[0] = Float(score)
      row[1] = 0
    }
  }
}
