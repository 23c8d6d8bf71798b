extension GraphNode {
  /// Makes what graphs among the attributes read of the graph around them inputs of the node, and of all these graphs,
  /// behind those that they have: so values flow through inputs alone.
  public mutating func bindCapturedValues() {
    let graphs = attributes.compactMap { name, value -> (name: String, graph: Graph)? in
      if case .graph(let graph) = value { (name, graph) } else { nil }
    }.sorted { $0.name < $1.name }
    guard !graphs.isEmpty else { return }
    var captured: [String] = []
    var seen: Set<String> = []
    for (_, graph) in graphs {
      for name in graph.freeNames where seen.insert(name).inserted { captured.append(name) }
    }
    for (attribute, graph) in graphs {
      var graph = graph
      let own = graph.ownNames
      graph.capturedInputs = captured.count
      for (index, name) in captured.enumerated() {
        // One that only another branch reads may have the name of a value of this one.
        let inside = own.contains(name) ? "captured \(index)" : name
        graph.inputs.append(Graph.Value(name: inside, type: nil, shape: nil))
      }
      attributes[attribute] = .graph(graph)
    }
    inputs += captured
  }
}

extension Graph {
  /// Names that the graph defines.
  fileprivate var ownNames: Set<String> {
    Set(inputs.map(\.name)).union(initializers.keys).union(nodes.flatMap(\.outputs))
  }

  /// Names that the graph reads and does not define, each once, in the order in which they are read.
  fileprivate var freeNames: [String] {
    var known = ownNames
    known.insert("")
    var free: [String] = []
    for name in nodes.flatMap(\.inputs) + outputs.map(\.name) where known.insert(name).inserted { free.append(name) }
    return free
  }
}
