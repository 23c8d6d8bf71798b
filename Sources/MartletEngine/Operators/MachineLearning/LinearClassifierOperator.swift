import CKernels
import MartletCore

/// `LinearClassifier`: scores of classes from a linear model, and the class with the greatest.
///
/// With one row of coefficients and two labels the second class is chosen when the score is positive, and the scores
/// become those of both classes as ONNX Runtime does it: `[1 - s, s]`, after the logistic function where it is asked
/// for, and untouched by SOFTMAX.
final class LinearClassifierOperator: Operator, LinearScorer {
  /// Fewer rows are finished one by one: a kernel takes eight at once.
  private static let kernelRows = 4

  private let labels: ClassifierLabels
  let weights: LinearWeights
  private let transform: PostTransform

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(1...1, of: node)
    _ = try context.type(0, of: node, among: NumericInput.types)
    labels = try ClassifierLabels(node, integers: "classlabels_ints")
    guard labels.count > 0 else {
      throw node.error("has neither classlabels_strings nor classlabels_ints, expected one of them")
    }
    let coefficients = try node.required("coefficients", try node.floats("coefficients"))
    let intercepts = try node.floats("intercepts") ?? []
    let name = try node.text("post_transform", default: "NONE")
    guard let transform = PostTransform(name: name) else {
      throw node.error(attribute: "post_transform", "is '\(name)', expected \(PostTransform.names)")
    }
    self.transform = transform
    var targets = intercepts.isEmpty ? labels.count : intercepts.count
    if intercepts.isEmpty, labels.count == 2, let shape = context.shape(0), shape.last == coefficients.count {
      targets = 1
    }
    guard targets == labels.count || (targets == 1 && labels.count == 2) else {
      throw node.error("has \(labels.count) labels and \(targets) rows of coefficients")
    }
    weights = try LinearWeights(node, coefficients: coefficients, intercepts: intercepts, targets: targets)
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    let (rows, features) = try NumericInput.matrix(input)
    guard features == weights.features else {
      throw Status(.invalidArgument, "input 0 has \(features) features, expected \(weights.features)")
    }
    let scores = context.temporary(max(1, rows * weights.targets), of: Float.self)
    weights.score(input, to: scores, rows: rows, context)
    try finish(scores, rows: rows, context)
  }

  func finish(_ scores: UnsafeMutablePointer<Float>, rows: Int, _ context: RunContext) throws(Status) {
    let classes = labels.count
    let targets = weights.targets
    if context.wants(0) { writeLabels(try labels.reserve(context, 0, rows: rows), scores, rows) }
    guard context.wants(1) else { return }
    let output = try context.output(1, .float32, Shape(rows, classes)).floats
    if classes == 2, targets == 2, case .logistic = transform, rows >= Self.kernelRows {
      return martlet_logistic_pairs(scores, output, rows)
    }
    for row in 0..<rows {
      let target = UnsafeMutableBufferPointer(start: output + row * classes, count: classes)
      if targets == 1, classes == 2 {
        var score = scores[row]
        switch transform {
        case .logistic: score = PostTransform.logistic(score)
        case .probit: score = PostTransform.probit(score)
        case .none, .softmax, .softmaxZero: break
        }
        target[0] = 1 - score
        target[1] = score
      } else if classes == 2, case .logistic = transform, scores[2 * row] == -scores[2 * row + 1] {
        // One exponential does for both: the function sees magnitudes.
        let value = PostTransform.logisticOfMagnitude(scores[2 * row])
        target[0] = scores[2 * row] < 0 ? 1 - value : value
        target[1] = scores[2 * row + 1] < 0 ? 1 - value : value
      } else {
        for index in 0..<classes { target[index] = scores[row * classes + index] }
        if classes > 1 { transform.apply(target) }
      }
    }
  }

  private func writeLabels(_ target: UnsafeMutableRawPointer, _ scores: UnsafePointer<Float>, _ rows: Int) {
    let targets = weights.targets
    if targets == 2, let integers = labels.integers {
      let target = target.assumingMemoryBound(to: Int64.self)
      if rows >= Self.kernelRows { return martlet_greater_labels(scores, integers, target, rows) }
      for row in 0..<rows { target[row] = integers[scores[2 * row + 1] > scores[2 * row] ? 1 : 0] }
      return
    }
    for row in 0..<rows {
      let own = scores + row * targets
      if targets == 1 {
        labels.write(labels.count == 2 && own[0] > 0 ? 1 : 0, asNumber: false, to: target, row)
        continue
      }
      var best = 0
      for index in 1..<targets where own[index] > own[best] { best = index }
      labels.write(best, asNumber: false, to: target, row)
    }
  }
}
