import MartletEngine

/// What the library does with the margins of a row, from the file's line `objective`.
enum LightGBMObjective: Equatable {
  /// The margins are the answer: ranking, and objectives of the user's own, which leave no line.
  case none
  case regression
  /// The model was trained on the root of the target.
  case squared
  case exponential
  case logarithm
  case sigmoid(Double)
  case binary(sigmoid: Double)
  case softmax
  case oneVersusAll(sigmoid: Double)

  /// Reads a line such as `binary sigmoid:1`.
  ///
  /// Source: LightGBM, `src/objective/`: `ToString`, the constructors from texts, and `ConvertOutput`.
  init(_ line: UnsafeRawBufferPointer) throws(ModelError) {
    var values = LightGBMValues(line)
    guard let name = values.next() else { throw ModelError("objective is empty, expected a name") }
    var isRoot = false
    var sigmoid = 1.0
    while let word = values.next() {
      if word.isText("sqrt") { isRoot = true }
      if word.starts(withText: "sigmoid:") {
        let text = UnsafeRawBufferPointer(rebasing: word.dropFirst(8))
        guard let value = LightGBMNumber.parameter(text), value > 0 else {
          throw ModelError("objective has the sigmoid \(text.excerpt), expected a number above 0")
        }
        sigmoid = value
      }
    }
    switch String(decoding: name.prefix(40), as: UTF8.self) {
    case "regression", "regression_l1", "fair", "quantile", "mape": self = isRoot ? .squared : .regression
    case "huber": self = .regression
    case "poisson", "gamma", "tweedie": self = .exponential
    case "binary": self = .binary(sigmoid: sigmoid)
    case "multiclass": self = .softmax
    case "multiclassova": self = .oneVersusAll(sigmoid: sigmoid)
    case "cross_entropy": self = .sigmoid(1)
    case "cross_entropy_lambda": self = .logarithm
    case "lambdarank", "rank_xendcg", "custom", "none": self = .none
    default:
      throw ModelError(
        "objective is \(name.excerpt), expected regression, regression_l1, huber, fair, poisson, quantile, mape, "
          + "gamma, tweedie, binary, multiclass, multiclassova, cross_entropy, cross_entropy_lambda, lambdarank, "
          + "rank_xendcg, or no line for an objective of one's own")
    }
  }

  /// Whether margins become probabilities of classes.
  var isClassifier: Bool {
    switch self {
    case .binary, .softmax, .oneVersusAll: true
    default: false
    }
  }

  /// Margins that the objective needs; nil for any number.
  func accepts(outputs: Int) -> Bool {
    switch self {
    case .none: true
    case .softmax, .oneVersusAll: outputs >= 2
    default: outputs == 1
    }
  }
}
