import MartletEngine

/// What a model file of XGBoost says, checked part by part.
struct XGBoostModel {
  /// The categories of one feature, as the library's re-coder numbers them.
  enum Categories {
    case none
    case texts([String])
    case integers([Int64])

    var isEmpty: Bool {
      switch self {
      case .none: true
      case .texts(let texts): texts.isEmpty
      case .integers(let integers): integers.isEmpty
      }
    }
  }

  var objective = XGBoostObjective.squaredError
  var features = 0
  /// Sums of a row: classes, targets or quantiles.
  var outputs = 1
  /// `base_score` for each output, in the file's terms.
  var baseScores: [Float] = []
  /// Nil for a linear model.
  var trees: NativeEnsemble?
  /// Of a linear model `[features + 1, outputs]`, the intercepts last.
  var weights: [Float] = []
  var featureNames: [String] = []
  /// Of each feature, or empty.
  var categories: [Categories] = []
  var attributes: [String: String] = [:]
  var version: [Int] = []
}
