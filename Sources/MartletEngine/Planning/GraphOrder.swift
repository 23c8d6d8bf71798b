import MartletCore

/// A graph output and the value it shows.
struct OutputBinding {
  var name: String
  var value: String
  /// Index into the graph's outputs.
  var index: Int
}

/// Which nodes of a graph the outputs need, in an order in which each comes behind what it reads.
///
/// Checks the graph as a whole: every name is defined once, everything that is read is defined, there is no cycle.
struct GraphOrder {
  /// Indices into the graph's nodes.
  private(set) var nodes: [Int] = []
  private(set) var outputs: [OutputBinding] = []

  init(_ graph: Graph) throws(ModelError) {
    let producers = try GraphOrder.producers(graph)
    outputs = try GraphOrder.bindings(graph, producers)
    try sort(graph, producers)
  }

  /// The node that makes each value; -1 for inputs and initializers.
  private static func producers(_ graph: Graph) throws(ModelError) -> [String: Int] {
    var producers: [String: Int] = [:]
    producers.reserveCapacity(graph.initializers.count + graph.nodes.count)
    for name in graph.initializers.keys { producers[name] = -1 }
    for input in graph.inputs where producers.updateValue(-1, forKey: input.name) != nil {
      throw ModelError("two inputs of the graph have the name '\(input.name)'")
    }
    for (index, node) in graph.nodes.enumerated() {
      guard node.outputs.contains(where: { !$0.isEmpty }) else { throw node.error("has no output") }
      for output in node.outputs where !output.isEmpty {
        if let other = producers.updateValue(index, forKey: output) {
          let place = other < 0 ? "an input or initializer" : graph.nodes[other].label
          throw node.error("its output '\(output)' is already the name of \(place)")
        }
      }
    }
    return producers
  }

  /// The outputs; a sequence of tensors becomes one output for each, `name_0`, `name_1`, ….
  private static func bindings(_ graph: Graph, _ producers: [String: Int]) throws(ModelError) -> [OutputBinding] {
    guard !graph.outputs.isEmpty else { throw ModelError("the graph has no outputs") }
    var bindings: [OutputBinding] = []
    var names: Set<String> = []
    for (index, output) in graph.outputs.enumerated() {
      let value = output.source ?? output.name
      guard let producer = producers[value] else {
        throw ModelError("output '\(output.name)' of the graph is made by no node")
      }
      let node = producer < 0 ? nil : graph.nodes[producer]
      if let node, node.domain.isEmpty, node.opType == "SequenceConstruct" {
        for (element, value) in node.inputs.enumerated() {
          guard producers[value] != nil else { throw node.error("its input '\(value)' is made by no node") }
          bindings.append(OutputBinding(name: "\(output.name)_\(element)", value: value, index: index))
        }
      } else {
        bindings.append(OutputBinding(name: output.name, value: value, index: index))
      }
    }
    for binding in bindings where !names.insert(binding.name).inserted {
      throw ModelError("two outputs of the graph have the name '\(binding.name)'")
    }
    return bindings
  }

  /// Depth-first from the outputs, without recursion: a hostile graph may be one long chain.
  private mutating func sort(_ graph: Graph, _ producers: [String: Int]) throws(ModelError) {
    enum Mark { case new, open, done }
    var marks = [Mark](repeating: .new, count: graph.nodes.count)
    // A node and which of its inputs comes next.
    var stack: [(node: Int, input: Int)] = []
    for binding in outputs {
      let root = producers[binding.value]!
      if root >= 0, marks[root] == .new {
        marks[root] = .open
        stack.append((root, 0))
      }
      while let (index, input) = stack.last {
        let node = graph.nodes[index]
        guard input < node.inputs.count else {
          marks[index] = .done
          nodes.append(index)
          stack.removeLast()
          continue
        }
        stack[stack.count - 1].input += 1
        let name = node.inputs[input]
        if name.isEmpty { continue }
        guard let producer = producers[name] else {
          throw node.error("its input '\(name)' is made by no node, and is no input or initializer of the graph")
        }
        if producer < 0 || marks[producer] == .done { continue }
        if marks[producer] == .open { throw node.error("its input '\(name)' depends on its own output: a cycle") }
        marks[producer] = .open
        stack.append((producer, 0))
      }
    }
  }
}
