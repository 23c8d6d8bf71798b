import Glibc
import MartletCore

/// The objectives of XGBoost: what each makes of the sums of the trees.
public enum XGBoostObjective: String, CaseIterable, Sendable {
  case squaredError = "reg:squarederror"
  /// The former name of `squaredError`.
  case linear = "reg:linear"
  case squaredLogError = "reg:squaredlogerror"
  case logistic = "reg:logistic"
  case pseudoHuberError = "reg:pseudohubererror"
  case absoluteError = "reg:absoluteerror"
  case quantileError = "reg:quantileerror"
  case gamma = "reg:gamma"
  case tweedie = "reg:tweedie"
  case poisson = "count:poisson"
  case binaryLogistic = "binary:logistic"
  case binaryLogitRaw = "binary:logitraw"
  case binaryHinge = "binary:hinge"
  case softmax = "multi:softmax"
  case softprob = "multi:softprob"
  case rankPairwise = "rank:pairwise"
  case rankNDCG = "rank:ndcg"
  case rankMAP = "rank:map"
  case cox = "survival:cox"
  case aft = "survival:aft"

  /// Whether a model of this objective with `outputs` sums tells classes: `binary:…` with one sum, `multi:…`.
  public func isClassifier(outputs: Int) -> Bool {
    switch self {
    case .binaryLogistic, .binaryHinge: outputs == 1
    case .softmax, .softprob: true
    default: false
    }
  }

  /// The sum that `base_score` in a file stands for: the inverse of the transform; nil for one that XGBoost refuses.
  public func margin(ofBaseScore score: Float) -> Float? {
    switch self {
    case .logistic, .binaryLogistic:
      guard score >= 0, score <= 1 else { return nil }
      let bound: Float = 1e-6
      let inside = min(max(score, bound), 1 - bound)
      return -logf(1 / inside - 1)
    case .gamma: return score > 0 ? logf(score) : nil
    case .poisson, .tweedie, .cox, .aft: return logf(score)
    default: return score
    }
  }

  /// The prediction for one sum, in the operations of the library and their order.
  @inline(__always)
  func value(_ margin: Float) -> Float {
    switch self {
    case .logistic, .binaryLogistic: Self.sigmoid(margin)
    case .gamma, .tweedie, .poisson, .cox: expf(margin)
    // This one is C's `exp` in the library, which takes doubles.
    case .aft: Float(exp(Double(margin)))
    case .binaryHinge: margin > 0 ? 1 : 0
    default: margin
    }
  }

  @inline(__always)
  private static func sigmoid(_ margin: Float) -> Float {
    let negative = -margin
    // As std::min does: what is not a number stays.
    let exponent: Float = 88.7 < negative ? 88.7 : negative
    return 1 / (expf(exponent) + 1 + 1e-16)
  }

  /// Turns the sums of a row into probabilities.
  @inline(__always)
  static func softmax(_ row: UnsafeMutablePointer<Float>, count: Int) {
    var greatest = row[0]
    for index in 1..<max(1, count) { greatest = fmaxf(row[index], greatest) }
    var sum = 0.0
    for index in 0..<count {
      row[index] = expf(row[index] - greatest)
      sum += Double(row[index])
    }
    let divisor = Float(sum)
    for index in 0..<count { row[index] /= divisor }
  }

  /// The first of the greatest elements.
  @inline(__always)
  static func greatest(_ row: UnsafePointer<Float>, count: Int) -> Int {
    var winner = 0
    for index in 1..<max(1, count) where row[index] > row[winner] { winner = index }
    return winner
  }
}

/// XGBoostOutput of the domain `ai.martlet`: the predictions of the attribute `objective` for sums `[rows, sums]` in
/// single precision, equal to XGBoost's in every bit where the C library gives the same `expf`.
///
/// Output 0 are probabilities `[rows, classes]` of a classifier, or else values `[rows, sums]`; `binary:hinge` knows no
/// probabilities and gives values. Output 1, of a classifier, is the number of the class `[rows]`, as XGBoost's own
/// `XGBClassifier` decides: above one half with two classes, the first of the greatest with more.
final class XGBoostOutputOperator: Operator {
  private let objective: XGBoostObjective

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(1...1, of: node)
    _ = try context.type(0, of: node, among: [.float32])
    guard let shape = context.shape(0), shape.rank == 2, shape[1] > 0 else {
      throw node.error("input 0 has the shape \(context.shape(0) ?? Shape()), expected [rows, sums]")
    }
    let name = try node.required("objective", node.text("objective"))
    guard let objective = XGBoostObjective(rawValue: name) else {
      throw node.error(attribute: "objective", "is '\(name)', which is not known")
    }
    guard context.outputCount < 2 || objective.isClassifier(outputs: shape[1]) else {
      throw node.error("has a class as an output, but '\(name)' of \(shape[1]) sums knows none")
    }
    self.objective = objective
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    let (rows, sums) = (input.dim(0), input.dim(1))
    let margins = input.floats
    let label = context.wants(1) ? try context.output(1, .int64, Shape(rows)).integers : nil
    switch objective {
    case .softmax, .softprob:
      let output =
        context.wants(0)
        ? try context.output(0, .float32, Shape(rows, sums)).floats
        : context.temporary(rows * sums, of: Float.self)
      output.update(from: margins, count: rows * sums)
      for row in 0..<rows {
        let values = output + row * sums
        // One decides by sums, the other by probabilities, of which two may have become equal.
        if objective == .softmax {
          label?[row] = Int64(XGBoostObjective.greatest(values, count: sums))
          XGBoostObjective.softmax(values, count: sums)
        } else {
          XGBoostObjective.softmax(values, count: sums)
          label?[row] = Int64(XGBoostObjective.greatest(values, count: sums))
        }
      }
    case .binaryLogistic where sums == 1:
      let output =
        context.wants(0)
        ? try context.output(0, .float32, Shape(rows, 2)).floats : context.temporary(rows * 2, of: Float.self)
      for row in 0..<rows {
        let probability = objective.value(margins[row])
        output[row * 2] = 1 - probability
        output[row * 2 + 1] = probability
        label?[row] = probability > 0.5 ? 1 : 0
      }
    default:
      if let label {
        for row in 0..<rows { label[row] = objective.value(margins[row]) > 0.5 ? 1 : 0 }
      }
      guard context.wants(0) else { return }
      let output = try context.output(0, .float32, Shape(rows, sums)).floats
      for index in 0..<(rows * sums) { output[index] = objective.value(margins[index]) }
    }
  }
}
