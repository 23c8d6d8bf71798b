/// A tree of at most 8 levels, filled up with nodes that decide nothing: children before parents, the lower child
/// first. With 8 levels, four sub-trees of 6 levels come before the three nodes above them.
struct CompleteTree {
  static let maximumDepth = 8

  private(set) var nodes: [CodedNode] = []
  /// The place of each leaf among 2^depth.
  private(set) var leafPlaces: [Int]

  init(_ tree: ArraySlice<CodedNode>, leaves: Int, depth: Int) {
    leafPlaces = [Int](repeating: 0, count: leaves)
    nodes.reserveCapacity(1 << depth)
    append(Array(tree), tree.isEmpty ? ~0 : 0, depth: depth, firstLeaf: 0)
  }

  /// At most 8 deep.
  private mutating func append(_ tree: [CodedNode], _ place: Int32, depth: Int, firstLeaf: Int) {
    if depth > 0 {
      let node = place >= 0 ? tree[Int(place)] : .passing(to: place)
      let half = 1 << (depth - 1)
      if depth == Self.maximumDepth {
        let children = [node.low, node.high].map { $0 >= 0 ? tree[Int($0)] : .passing(to: $0) }
        for (index, child) in children.enumerated() {
          append(tree, child.low, depth: depth - 2, firstLeaf: firstLeaf + half * index)
          append(tree, child.high, depth: depth - 2, firstLeaf: firstLeaf + half * index + half / 2)
        }
        nodes += children
        for (index, child) in [node.low, node.high].enumerated() where child < 0 {
          leafPlaces[Int(~child)] = firstLeaf + half * index
        }
      } else {
        append(tree, node.low, depth: depth - 1, firstLeaf: firstLeaf)
        append(tree, node.high, depth: depth - 1, firstLeaf: firstLeaf + half)
      }
      nodes.append(node)
    }
    // Of the places that a leaf above the last level takes, rows come to the lowest.
    if place < 0 { leafPlaces[Int(~place)] = firstLeaf }
  }
}
