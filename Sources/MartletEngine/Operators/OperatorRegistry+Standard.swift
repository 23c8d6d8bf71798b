extension OperatorRegistry {
  /// Operators of the default domain, in alphabetical order.
  static let standard: [Entry] = []
}
