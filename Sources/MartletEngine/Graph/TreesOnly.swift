extension Graph {
  /// Whether trees decide everything: there is at least one ensemble, and what is around it moves values and picks
  /// labels, but computes nothing that another library could round in another way.
  public var isTreesOnly: Bool {
    var hasTrees = false
    for node in nodes {
      // A booster's own file: trees, and its library's transform in its library's arithmetic.
      if node.domain == "ai.martlet" {
        hasTrees = true
        continue
      }
      switch node.opType {
      case "TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor": hasTrees = true
      case "ArgMax", "ArrayFeatureExtractor", "Cast", "Concat", "Constant", "FeatureVectorizer", "Flatten", "Gather",
        "Identity", "LabelEncoder", "Reshape", "Shape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze",
        "ZipMap":
        break
      default: return false
      }
    }
    return hasTrees
  }
}
