/// The nodes of all trees by (tree id, node id), found without a hash table as long as a tree lists its nodes in order.
struct TreeNodeKeys {
  /// The nodes of one tree.
  private struct Tree {
    var id: Int64
    /// Where its nodes begin in `sorted`.
    var first: Int
    var count: Int
  }

  private let trees: [Tree]
  private let indexOfTree: [Int64: Int]
  private let treeOfNode: [UInt32]
  private let nodeIDs: PackedIntegers
  /// Indices of the nodes, tree by tree and by node id within.
  private let sorted: [UInt32]

  var count: Int { nodeIDs.count }
  /// The first node of each run of nodes that are of one tree: its root.
  ///
  /// Exporters write one tree behind the other. Where trees are interleaved, ONNX Runtime counts each run as a tree that
  /// begins at the run's first node, and so does this.
  let roots: [UInt32]

  /// Errors: lists of different lengths, and a (tree id, node id) that comes twice.
  init(trees treeIDs: PackedIntegers, nodes nodeIDs: PackedIntegers, _ node: GraphNode) throws(ModelError) {
    guard treeIDs.count == nodeIDs.count else {
      throw node.error(
        attribute: "nodes_nodeids", "has \(nodeIDs.count) elements, expected \(treeIDs.count) as in nodes_treeids")
    }
    guard treeIDs.count > 0, treeIDs.count < 1 << 31 else {
      throw node.error(attribute: "nodes_treeids", "has \(treeIDs.count) elements, expected 1 to \(1 << 31 - 1)")
    }
    var trees: [Tree] = []
    var indexOfTree: [Int64: Int] = [:]
    var treeOfNode: [UInt32] = []
    var roots: [UInt32] = []
    treeOfNode.reserveCapacity(treeIDs.count)
    for index in 0..<treeIDs.count {
      let id = treeIDs[index]
      var tree = index == 0 ? 0 : Int(treeOfNode[index - 1])
      if index == 0 || treeIDs[index - 1] != id {
        roots.append(UInt32(index))
        tree = indexOfTree[id] ?? trees.count
        if tree == trees.count {
          indexOfTree[id] = tree
          trees.append(Tree(id: id, first: 0, count: 0))
        }
      }
      trees[tree].count += 1
      treeOfNode.append(UInt32(tree))
    }
    var first = 0
    for index in trees.indices {
      trees[index].first = first
      first += trees[index].count
      trees[index].count = 0
    }
    var sorted = [UInt32](repeating: 0, count: treeIDs.count)
    for index in 0..<treeIDs.count {
      let tree = Int(treeOfNode[index])
      sorted[trees[tree].first + trees[tree].count] = UInt32(index)
      trees[tree].count += 1
    }
    for tree in trees {
      let range = tree.first..<(tree.first + tree.count)
      let isSorted = range.dropFirst().allSatisfy { nodeIDs[Int(sorted[$0 - 1])] <= nodeIDs[Int(sorted[$0])] }
      if !isSorted { sorted[range].sort { nodeIDs[Int($0)] < nodeIDs[Int($1)] } }
      for place in range.dropFirst() where nodeIDs[Int(sorted[place - 1])] == nodeIDs[Int(sorted[place])] {
        throw node.error(
          attribute: "nodes_nodeids", "names node \(nodeIDs[Int(sorted[place])]) of tree \(tree.id) twice")
      }
    }
    self.trees = trees
    self.roots = roots
    self.indexOfTree = indexOfTree
    self.treeOfNode = treeOfNode
    self.nodeIDs = nodeIDs
    self.sorted = sorted
  }

  /// The node that is a child of the one at `index`, by its id; `attribute` is where the id stands.
  func child(_ id: Int64, of index: Int, _ attribute: String, _ node: GraphNode) throws(ModelError) -> UInt32 {
    let tree = trees[Int(treeOfNode[index])]
    guard let child = self.index(in: tree, node: id) else {
      throw node.error(
        attribute: attribute, "names node \(id) of tree \(tree.id) at \(index), which does not exist")
    }
    return child
  }

  func index(tree: Int64, node: Int64) -> UInt32? {
    guard let tree = indexOfTree[tree] else { return nil }
    return index(in: trees[tree], node: node)
  }

  private func index(in tree: Tree, node: Int64) -> UInt32? {
    // Nearly all exporters number a tree's nodes from 0.
    if node >= 0, node < tree.count, nodeIDs[Int(sorted[tree.first + Int(node)])] == node {
      return sorted[tree.first + Int(node)]
    }
    var low = tree.first
    var high = tree.first + tree.count
    while low < high {
      let middle = (low + high) / 2
      if nodeIDs[Int(sorted[middle])] < node { low = middle + 1 } else { high = middle }
    }
    guard low < tree.first + tree.count, nodeIDs[Int(sorted[low])] == node else { return nil }
    return sorted[low]
  }
}
