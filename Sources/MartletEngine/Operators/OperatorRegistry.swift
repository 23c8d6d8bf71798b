import MartletCore

/// Which operators the engine has, and the versions of their operator sets.
package struct OperatorRegistry: Sendable {
  /// One operator: a line of registration.
  struct Entry: Sendable {
    let opType: String
    /// Versions of the domain's operator set in which the implementation is right.
    let opsets: ClosedRange<Int>
    let make: @Sendable (GraphNode, PlanningContext) throws(ModelError) -> AnyOperator

    init<Implementation: Operator>(_ opType: String, _ opsets: ClosedRange<Int>, _ type: Implementation.Type) {
      self.opType = opType
      self.opsets = opsets
      make = { (node, context) throws(ModelError) in OperatorBox(try Implementation(node, context: context)) }
    }

    /// An operator whose implementation depends on the types of its inputs.
    init(
      _ opType: String, _ opsets: ClosedRange<Int>,
      make: @escaping @Sendable (GraphNode, PlanningContext) throws(ModelError) -> AnyOperator
    ) {
      self.opType = opType
      self.opsets = opsets
      self.make = make
    }
  }

  /// The versions of each domain's operator set that this engine knows; the default domain under the empty name.
  ///
  /// The newest are those of onnx 1.23; `ai.martlet` is what our loaders of other formats make.
  package static let opsets: [String: ClosedRange<Int>] = [
    "": 5...28, "ai.onnx.ml": 1...5, "com.microsoft": 1...1, "ai.martlet": 1...1,
  ]

  /// The last version in the default domain, for entries that are right up to the newest.
  static let newest = 28

  private static let domains: [String: [String: [Entry]]] = [
    "": Dictionary(grouping: standard, by: \.opType),
    "ai.onnx.ml": Dictionary(grouping: machineLearning, by: \.opType),
    "com.microsoft": Dictionary(grouping: microsoft, by: \.opType),
    "ai.martlet": Dictionary(grouping: native, by: \.opType),
  ]

  /// Domain and name of every operator.
  static var all: [(domain: String, opType: String)] {
    domains.flatMap { domain, operators in operators.keys.map { (domain, $0) } }
  }

  /// The operator that `node` names, or an error that names operator, domain, version and node.
  static func makeOperator(_ node: GraphNode, context: PlanningContext) throws(ModelError) -> AnyOperator {
    try entry(for: node).make(node, context)
  }

  static func entry(for node: GraphNode) throws(ModelError) -> Entry {
    let domain = node.domain.isEmpty ? "the default domain" : "domain '\(node.domain)'"
    guard let operators = domains[node.domain] else {
      throw node.error("\(domain) is not supported; known are the default domain, ai.onnx.ml and com.microsoft")
    }
    guard let entries = operators[node.opType] else {
      throw node.error("operator '\(node.opType)' of \(domain), version \(node.opset), is not supported")
    }
    guard let entry = entries.first(where: { $0.opsets.contains(node.opset) }) else {
      let known = entries.map { "\($0.opsets.lowerBound) to \($0.opsets.upperBound)" }.joined(separator: " and ")
      throw node.error(
        "operator '\(node.opType)' of \(domain) is supported in versions \(known), the model asks for \(node.opset)")
    }
    return entry
  }
}
