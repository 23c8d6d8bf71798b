extension Graph {
  /// Whether trees decide everything: there is at least one ensemble, and what is around it moves values and picks
  /// labels, or is a booster's own transform, but computes nothing that another library could round in another way.
  public var isTreesOnly: Bool {
    var hasTrees = false
    for node in nodes {
      switch node.opType {
      case "TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor": hasTrees = true
      case "ArgMax", "ArrayFeatureExtractor", "Cast", "Concat", "Constant", "FeatureVectorizer", "Flatten", "Gather",
        "Identity", "LabelEncoder", "Reshape", "Shape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze",
        "ZipMap":
        break
      // Boosters' linear parts are sums of products.
      case "XGBoostLinear", "LightGBMLinearLeaves": return false
      // The rest of their operators is their library's arithmetic, to the bit.
      default: if node.domain != "ai.martlet" { return false }
      }
    }
    return hasTrees
  }
}
