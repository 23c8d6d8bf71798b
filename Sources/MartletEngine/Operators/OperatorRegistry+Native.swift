extension OperatorRegistry {
  /// Operators of the domain `ai.martlet`, which loaders of other formats than ONNX make, in alphabetical order.
  static let native: [Entry] = [
    Entry("TreeEnsemble", 1...1, make: NativeTreeEnsembleOperator<Float>.make)
  ]
}
