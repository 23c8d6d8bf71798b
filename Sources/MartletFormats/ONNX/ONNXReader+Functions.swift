import MartletEngine

/// A function that a model file defines: nodes that stand for one node of another name.
struct ONNXFunction {
  var name = ""
  var domain = ""
  var inputs: [String] = []
  var outputs: [String] = []
  /// Values of attributes that a call leaves out.
  var defaults: [String: AttributeValue] = [:]
  var nodes: [GraphNode] = []
}

extension ONNXReader {
  /// `FunctionProto`: its nodes are of the operator sets that it imports itself.
  mutating func function(_ message: ProtobufReader) throws(ModelError) -> ONNXFunction {
    var reader = message
    var function = ONNXFunction()
    var opsets: [String: Int] = [:]
    // Operator sets may come behind the nodes, which need them.
    var nodes: [ProtobufReader] = []
    var defaults: [ProtobufReader] = []
    while !reader.isAtEnd {
      let field = try reader.field()
      switch field.number {
      case 1: function.name = try text(&reader, field, "the name of a function")
      case 4:
        try count(reader)
        function.inputs.append(try text(&reader, field, "an input of a function"))
      case 5:
        try count(reader)
        function.outputs.append(try text(&reader, field, "an output of a function"))
      case 7:
        try reader.expect(field, .bytes, "node")
        try count(reader)
        nodes.append(try reader.message())
      case 9:
        try reader.expect(field, .bytes, "opset_import")
        try count(reader)
        let (domain, version) = try operatorSet(&reader)
        opsets[domain] = version
      case 10: function.domain = Self.canonical(domain: try text(&reader, field, "the domain of a function"))
      case 11:
        try reader.expect(field, .bytes, "attribute_proto")
        try count(reader)
        defaults.append(try reader.message())
      default: try reader.skip(field.wire)
      }
    }
    guard !function.name.isEmpty else { throw reader.error("a function has no name") }
    for (index, node) in nodes.enumerated() {
      function.nodes.append(try self.node(node, index: index, opsets: opsets))
    }
    let owner = GraphNode(name: function.name, opType: function.name, opset: 1, inputs: [], outputs: [])
    for attribute in defaults {
      let (name, value) = try self.attribute(attribute, of: owner, opsets: opsets)
      function.defaults[name] = value
    }
    return function
  }

  /// Puts the nodes of functions in the place of the nodes that call them, also in graphs inside.
  ///
  /// Errors: functions that call each other more than `maximumDepth` deep, or that make the graph too large.
  mutating func inline(
    _ functions: [String: ONNXFunction], into nodes: [GraphNode], depth: Int = 0
  ) throws(ModelError) -> [GraphNode] {
    var result: [GraphNode] = []
    result.reserveCapacity(nodes.count)
    for var node in nodes {
      guard let function = functions[Self.key(domain: node.domain, name: node.opType)] else {
        for (name, value) in node.attributes {
          guard case .graph(var graph) = value else { continue }
          graph.nodes = try inline(functions, into: graph.nodes, depth: depth)
          node.attributes[name] = .graph(graph)
        }
        result.append(node)
        continue
      }
      guard depth < Self.maximumDepth else {
        throw node.error("functions call each other more than \(Self.maximumDepth) deep")
      }
      result += try inline(functions, into: try body(of: function, for: node), depth: depth + 1)
    }
    return result
  }

  /// How deep functions may call each other, and graphs lie inside each other.
  static let maximumDepth = 8

  static func key(domain: String, name: String) -> String { "\(domain)\u{0}\(name)" }

  /// The nodes of `function` with the names and attributes of the node that calls it; names inside become new ones.
  private mutating func body(of function: ONNXFunction, for call: GraphNode) throws(ModelError) -> [GraphNode] {
    guard call.inputs.count <= function.inputs.count, call.outputs.count <= function.outputs.count else {
      throw call.error("has more inputs or outputs than the function has")
    }
    calls += 1
    let prefix = "\(function.name) \(calls): "
    var names: [String: String] = ["": ""]
    for (index, input) in function.inputs.enumerated() {
      names[input] = index < call.inputs.count ? call.inputs[index] : ""
    }
    for (index, output) in function.outputs.enumerated() where index < call.outputs.count {
      if !call.outputs[index].isEmpty { names[output] = call.outputs[index] }
    }
    var nodes: [GraphNode] = []
    for var node in function.nodes {
      parts += 1 + node.inputs.count + node.outputs.count
      guard parts <= Self.maximumParts else { throw call.error("its functions make the model too large") }
      node.name = prefix + node.name
      node.inputs = node.inputs.map { names[$0] ?? prefix + $0 }
      node.outputs = node.outputs.map { names[$0] ?? prefix + $0 }
      node.attributes = Self.resolved(node.attributes, call.attributes, function.defaults)
      nodes.append(node)
    }
    return nodes
  }

  /// `attributes` with the values that those of a function refer to; one that the call leaves out is left out.
  private static func resolved(
    _ attributes: [String: AttributeValue], _ given: [String: AttributeValue], _ defaults: [String: AttributeValue]
  ) -> [String: AttributeValue] {
    var result: [String: AttributeValue] = [:]
    for (name, value) in attributes {
      switch value {
      case .reference(let other): result[name] = given[other] ?? defaults[other]
      case .graph(var graph):
        for index in graph.nodes.indices {
          graph.nodes[index].attributes = resolved(graph.nodes[index].attributes, given, defaults)
        }
        result[name] = .graph(graph)
      default: result[name] = value
      }
    }
    return result
  }
}
