extension OperatorRegistry {
  /// Operators of the domain `ai.martlet`, which loaders of other formats than ONNX make, in alphabetical order.
  static let native: [Entry] = [
    Entry("CategoryCode", 1...1, CategoryCodeOperator.self),
    Entry("LightGBMClassifier", 1...1, LightGBMObjectiveOperator.self),
    Entry("LightGBMInput", 1...1, LightGBMInputOperator.self),
    Entry("LightGBMLinearLeaves", 1...1, LightGBMLinearLeavesOperator.self),
    Entry("LightGBMRegressor", 1...1, LightGBMObjectiveOperator.self),
    Entry("MissingValue", 1...1, MissingValueOperator.self),
    Entry("TreeEnsemble", 1...1, make: NativeTreeEnsembleOperator<Float>.make),
    Entry("XGBoostLinear", 1...1, XGBoostLinearOperator.self),
    Entry("XGBoostOutput", 1...1, XGBoostOutputOperator.self),
  ]
}
