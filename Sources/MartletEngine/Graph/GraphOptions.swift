import MartletCore

/// What the owner of a model may ask of its graph.
extension Graph {
  /// Makes NaN of `value` in every input of real numbers.
  ///
  /// Errors: the graph has no such input.
  public mutating func takeAsMissing(_ value: Double) throws(ModelError) {
    var renamed: [String: String] = [:]
    var added: [GraphNode] = []
    for input in inputs where input.type == .float32 || input.type == .float64 {
      let name = "ai.martlet:\(input.name) with what is missing"
      renamed[input.name] = name
      added.append(
        GraphNode(
          opType: "MissingValue", domain: "ai.martlet", opset: 1, inputs: [input.name], outputs: [name],
          attributes: ["value": .tensor(ConstantTensor(.float64, Shape(1), [value]))]))
    }
    guard !added.isEmpty else {
      throw ModelError("\(value) is to stand for a missing value, but the model has no input of real numbers")
    }
    for index in nodes.indices { nodes[index].inputs = nodes[index].inputs.map { renamed[$0] ?? $0 } }
    nodes = added + nodes
    opsets["ai.martlet"] = 1
  }

  /// Adds the further outputs of these names, in this order.
  ///
  /// Errors: the graph has no further output of a name.
  public mutating func addOutputs(_ names: [String]) throws(ModelError) {
    for name in names {
      guard let output = furtherOutputs.first(where: { $0.name == name }) else {
        let known = furtherOutputs.map(\.name)
        throw ModelError(
          "output '\(name)' is asked for, the model has "
            + (known.isEmpty ? "no further outputs" : "as further outputs \(known.joined(separator: ", "))"))
      }
      outputs.append(output)
    }
  }
}
