extension OperatorRegistry {
  /// Operators of the domain `ai.onnx.ml`, in alphabetical order.
  static let machineLearning: [Entry] = []
}
