/// Collects the nodes of an ensemble by index, checks their shape and lays them out for evaluation.
struct TreeEnsembleBuilder<Value: TreeValue> {
  /// A node whose children are indices of other nodes here; those of a leaf mean nothing.
  struct Source {
    var mode: BranchMode
    var feature: Int32
    var tracksTrue: Bool
    var value: Value
    var whenTrue: UInt32
    var whenFalse: UInt32
  }

  /// What the leaf at `node` adds to `target`.
  struct Leaf {
    var node: UInt32
    var target: Int32
    var value: Value
  }

  var sources: [Source] = []
  var roots: [UInt32] = []
  /// In the order in which weights of the same leaf are added.
  var leaves: [Leaf] = []
  var sets: [MemberSet<Value>] = []

  /// Why an ensemble is refused: names the node by its index.
  struct Problem: Error {
    var message: String
  }

  private static var unplaced: UInt32 { .max }

  /// The ensemble of all trees from `roots`; consumes the builder's nodes to keep memory low.
  ///
  /// A sub-tree may hang from several nodes (exporters write categories so); a cycle, a node that no root reaches, and
  /// targets out of `0..<targets` are errors. A leaf without weights adds its node's value when there is one target,
  /// as ONNX Runtime does. No recursion: trees may be as deep as they have nodes.
  consuming func build(targets: Int) throws(Problem) -> TreeEnsemble<Value> {
    let positions = try positions()
    let sources = self.sources
    let (weights, firstWeight) = try orderedWeights(targets: targets)
    var nodes = [TreeEnsemble<Value>.Node](
      repeating: .init(mode: .leaf, feature: 0, tracksTrue: false, value: 0, whenTrue: 0, whenFalse: 0),
      count: sources.count)
    var commonMode: BranchMode?
    var isMixed = false
    var tracksMissing = false
    var features = 0
    for (index, source) in sources.enumerated() {
      let place = Int(positions[index])
      guard source.mode != .leaf else {
        let first = Int(firstWeight[index])
        let count = Int(firstWeight[index + 1]) - first
        nodes[place] = .init(
          mode: .leaf, feature: 0, tracksTrue: false, value: count > 0 ? weights[first].value : source.value,
          whenTrue: first, whenFalse: count)
        continue
      }
      if commonMode == nil { commonMode = source.mode }
      isMixed = isMixed || commonMode != source.mode
      tracksMissing = tracksMissing || source.tracksTrue
      features = max(features, Int(source.feature) + 1)
      nodes[place] = .init(
        mode: source.mode, feature: Int(source.feature), tracksTrue: source.tracksTrue, value: source.value,
        whenTrue: Int(positions[Int(source.whenTrue)]), whenFalse: Int(positions[Int(source.whenFalse)]))
    }
    return TreeEnsemble(
      nodes: nodes, roots: roots.map { positions[Int($0)] }, weights: weights, sets: sets, targets: targets,
      commonMode: isMixed ? nil : commonMode, tracksMissing: tracksMissing, features: features,
      scoresEveryTarget: scoresEveryTarget(nodes, weights, targets, roots: roots.map { positions[Int($0)] }))
  }

  /// Whether each target has a tree all of whose leaves have a weight for it.
  ///
  /// Nodes are placed tree by tree. A tree that shares nodes with an earlier one does not lie in a range of its own, and
  /// counts for nothing here.
  private func scoresEveryTarget(
    _ nodes: [TreeEnsemble<Value>.Node], _ weights: [TreeEnsemble<Value>.Weight], _ targets: Int, roots: [UInt32]
  ) -> Bool {
    guard targets > 1 else { return true }
    var isScored = [Bool](repeating: false, count: targets)
    var leavesOfTarget = [UInt32](repeating: 0, count: targets)
    var lastLeaf = [UInt32](repeating: .max, count: targets)
    for (tree, root) in roots.enumerated() {
      let end = tree + 1 < roots.count ? roots[tree + 1] : UInt32(nodes.count)
      guard root < end else { continue }
      var leaves: UInt32 = 0
      var seen: [Int] = []
      var isClosed = true
      for place in root..<end {
        let node = nodes[Int(place)]
        guard node.isLeaf else {
          isClosed =
            isClosed && (root..<end).contains(node.whenTrue) && (root..<end).contains(node.whenFalse)
          continue
        }
        leaves += 1
        for weight in weights[Int(node.whenTrue)..<(Int(node.whenTrue) + Int(node.whenFalse))] {
          let target = Int(weight.target)
          // A leaf that names a target twice counts once.
          guard lastLeaf[target] != place else { continue }
          lastLeaf[target] = place
          if leavesOfTarget[target] == 0 { seen.append(target) }
          leavesOfTarget[target] += 1
        }
      }
      for target in seen {
        if isClosed && leavesOfTarget[target] == leaves { isScored[target] = true }
        leavesOfTarget[target] = 0
      }
    }
    return isScored.allSatisfy { $0 }
  }

  /// Where each node goes: trees in the order of roots, false children first.
  private func positions() throws(Problem) -> [UInt32] {
    // In 31 bits a node's index leaves one to say that its children are done.
    guard sources.count < 1 << 31 else { throw Problem(message: "has \(sources.count) nodes, the limit is 2^31") }
    var positions = [UInt32](repeating: Self.unplaced, count: sources.count)
    var isOpen = [Bool](repeating: false, count: sources.count)
    var next: UInt32 = 0
    let done: UInt32 = 1 << 31
    var stack: [UInt32] = []
    for root in roots {
      stack.append(root)
      while let top = stack.popLast() {
        let index = Int(top & ~done)
        if top & done != 0 {
          isOpen[index] = false
          continue
        }
        if positions[index] != Self.unplaced {
          // A sub-tree that hangs from several nodes is placed once.
          if isOpen[index] { throw Problem(message: "node \(index) is among its own descendants: a cycle") }
          continue
        }
        positions[index] = next
        next += 1
        let source = sources[index]
        guard source.mode != .leaf else { continue }
        isOpen[index] = true
        stack.append(top | done)
        stack.append(source.whenTrue)
        stack.append(source.whenFalse)
      }
    }
    if let lost = positions.firstIndex(of: Self.unplaced) {
      throw Problem(message: "node \(lost) is in no tree: the first node of its tree does not reach it")
    }
    return positions
  }

  /// The weights leaf by leaf, and where each node's begin; weights of inner nodes are left out, as old exporters
  /// wrote them for nothing.
  private func orderedWeights(
    targets: Int
  ) throws(Problem) -> ([TreeEnsemble<Value>.Weight], firstWeight: [UInt32]) {
    var first = [UInt32](repeating: 0, count: sources.count + 1)
    for leaf in leaves {
      guard leaf.target >= 0, leaf.target < targets else {
        throw Problem(message: "a leaf has a weight for target \(leaf.target), expected 0 to \(targets - 1)")
      }
      if sources[Int(leaf.node)].mode == .leaf { first[Int(leaf.node) + 1] += 1 }
    }
    for index in 0..<sources.count { first[index + 1] += first[index] }
    var weights = [TreeEnsemble<Value>.Weight](
      repeating: .init(target: 0, value: 0), count: Int(first[sources.count]))
    var next = first
    for leaf in leaves where sources[Int(leaf.node)].mode == .leaf {
      weights[Int(next[Int(leaf.node)])] = .init(target: leaf.target, value: leaf.value)
      next[Int(leaf.node)] += 1
    }
    return (weights, first)
  }
}
