import MartletCore

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// LightGBMClassifier and LightGBMRegressor of the domain `ai.martlet`: what the library's `predict` makes of margins.
///
/// The input is `[rows, margins]` in double precision. A classifier's outputs are the label `[rows]`, the first class of
/// the greatest probability, and the probabilities `[rows, classes]`; a regressor's are its values `[rows, margins]`.
///
/// Attributes: `objective`; `sigmoid`, a tensor of one double; `iterations`, by which the margins of a random forest are
/// divided first; a classifier's `classlabels_int64s`.
///
/// Source: LightGBM 4.7: `GBDT::Predict`, and `ConvertOutput` of each objective in `src/objective/`. The functions are
/// those of the C library, which the library calls too.
final class LightGBMObjectiveOperator: Operator {
  private enum Objective: String {
    case identity
    case squared
    case exponential
    case logarithm
    case sigmoid
    case softmax
  }

  private let objective: Objective
  private let sigmoid: Double
  private let iterations: Double?
  private let labels: [Int64]
  private let margins: Int

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(1...1, of: node)
    _ = try context.type(0, of: node, among: [.float64])
    let name = try node.required("objective", try node.text("objective"))
    guard let objective = Objective(rawValue: name) else {
      throw node.error(
        attribute: "objective",
        "is '\(name)', expected identity, squared, exponential, logarithm, sigmoid or softmax")
    }
    self.objective = objective
    let sigmoid = try node.tensor("sigmoid")
    guard sigmoid == nil || (sigmoid?.type == .float64 && sigmoid?.count == 1) else {
      throw node.error(attribute: "sigmoid", "is no tensor of one double")
    }
    self.sigmoid = sigmoid?.array(of: Double.self).first ?? 1
    let iterations = try node.integer("iterations")
    guard iterations.map({ $0 > 0 }) ?? true else {
      throw node.error(attribute: "iterations", "is \(iterations ?? 0), expected a number above 0")
    }
    self.iterations = iterations.map { Double($0) }
    guard let shape = context.shape(0), shape.rank == 2, shape[1] > 0 else {
      throw node.error("input 0 has the shape \(context.shape(0) ?? Shape()), expected [rows, margins]")
    }
    margins = shape[1]
    labels = node.opType == "LightGBMClassifier" ? try node.integers("classlabels_int64s") ?? [] : []
    guard node.opType != "LightGBMClassifier" || labels.count == max(2, margins) else {
      throw node.error(
        attribute: "classlabels_int64s", "has \(labels.count) labels, expected \(max(2, margins))")
    }
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    guard input.rank == 2, input.dim(1) == margins else {
      throw Status(.invalidArgument, "input 0 of shape \(input.shape), expected [rows, \(margins)]")
    }
    let rows = input.dim(0)
    let scores = input.doubles
    guard !labels.isEmpty else {
      let output = try context.output(0, .float64, Shape(rows, margins)).doubles
      for row in 0..<rows { convert(scores + row * margins, to: output + row * margins) }
      return
    }
    let classes = labels.count
    let label = context.wants(0) ? try context.output(0, .int64, Shape(rows)).integers : nil
    let output =
      context.wants(1)
      ? try context.output(1, .float64, Shape(rows, classes)).doubles
      : context.temporary(rows * classes, of: Double.self)
    for row in 0..<rows {
      let own = output + row * classes
      // One margin is that of the second class.
      convert(scores + row * margins, to: margins == 1 ? own + 1 : own)
      if margins == 1 { own[0] = 1 - own[1] }
      label?[row] = labels[Self.winner(own, classes)]
    }
  }

  /// The first of the greatest; NaN is greater than any number.
  private static func winner(_ values: UnsafePointer<Double>, _ count: Int) -> Int {
    var best = 0
    for index in 1..<count where !values[best].isNaN && !(values[index] <= values[best]) { best = index }
    return best
  }

  private func convert(_ scores: UnsafePointer<Double>, to output: UnsafeMutablePointer<Double>) {
    for index in 0..<margins { output[index] = iterations.map { scores[index] / $0 } ?? scores[index] }
    switch objective {
    case .identity: break
    case .squared:
      for index in 0..<margins {
        let value = output[index]
        let sign: Double = value > 0 ? 1 : value < 0 ? -1 : 0
        output[index] = sign * value * value
      }
    case .exponential: for index in 0..<margins { output[index] = exp(output[index]) }
    case .logarithm: for index in 0..<margins { output[index] = log1p(exp(output[index])) }
    case .sigmoid: for index in 0..<margins { output[index] = 1 / (1 + exp(-sigmoid * output[index])) }
    case .softmax: softmax(output)
    }
  }

  private func softmax(_ values: UnsafeMutablePointer<Double>) {
    var greatest = values[0]
    for index in 1..<margins where !(values[index] < greatest) { greatest = values[index] }
    var sum = 0.0
    for index in 0..<margins {
      values[index] = exp(values[index] - greatest)
      sum += values[index]
    }
    for index in 0..<margins { values[index] /= sum }
  }
}
