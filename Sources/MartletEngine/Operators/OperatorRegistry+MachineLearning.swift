extension OperatorRegistry {
  /// Operators of the domain `ai.onnx.ml`, in alphabetical order.
  static let machineLearning: [Entry] = [
    Entry("ArrayFeatureExtractor", 1...5, ArrayFeatureExtractorOperator.self),
    Entry("Binarizer", 1...5, BinarizerOperator.self),
    Entry("CategoryMapper", 1...5, CategoryMapperOperator.self),
    Entry("FeatureVectorizer", 1...5, FeatureVectorizerOperator.self),
    Entry("Imputer", 1...5, ImputerOperator.self),
    Entry("LabelEncoder", 1...5, LabelEncoderOperator.self),
    Entry("LinearClassifier", 1...5, LinearClassifierOperator.self),
    Entry("LinearRegressor", 1...5, LinearRegressorOperator.self),
    Entry("Normalizer", 1...5, NormalizerOperator.self),
    Entry("OneHotEncoder", 1...5, OneHotEncoderOperator.self),
    Entry("SVMClassifier", 1...5, SVMClassifierOperator.self),
    Entry("SVMRegressor", 1...5, SVMRegressorOperator.self),
    Entry("Scaler", 1...5, ScalerOperator.self),
    Entry("TreeEnsemble", 5...5, make: TreeRegressionOperator<Float>.make),
    Entry("TreeEnsembleClassifier", 1...5, make: TreeClassificationOperator<Float>.make),
    Entry("TreeEnsembleRegressor", 1...5, make: TreeRegressionOperator<Float>.make),
    Entry("ZipMap", 1...5, ZipMapOperator.self),
  ]
}
