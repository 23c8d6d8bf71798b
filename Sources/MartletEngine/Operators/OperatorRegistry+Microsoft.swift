extension OperatorRegistry {
  /// Operators of the domain com.microsoft that converters of scikit-learn emit on request, in alphabetical order.
  static let microsoft: [Entry] = [
    Entry("CDist", 1...1, CDistOperator.self)
  ]
}
