/// From a row to the leaves it falls into: one node at a time, the reference for every faster way.
extension TreeEnsemble {
  /// Rows that are walked together, tree by tree, so that a tree's nodes stay in the cache.
  static var rowsAtOnce: Int { 128 }

  /// Calls `body` for each tree in order and, within it, for each row with the leaf that the row falls into.
  ///
  /// `rows` is `[count, stride]` of at least `features` columns.
  @inline(__always)
  func forEachLeaf(
    _ rows: UnsafePointer<Value>, stride: Int, count: Int, _ body: (_ row: Int, _ leaf: Node) -> Void
  ) {
    nodes.withUnsafeBufferPointer { nodes in
      guard let nodes = nodes.baseAddress else { return }
      if let categories {
        categories.features.withUnsafeBufferPointer { features in
          categories.values.withUnsafeBufferPointer { values in
            let known = KnownCategories(
              rowWidth: categories.rowWidth, features: features.baseAddress, values: values.baseAddress)
            for root in roots {
              for row in 0..<count { body(row, leaf(nodes, Int(root), rows + row * stride, known)) }
            }
          }
        }
        return
      }
      roots.withUnsafeBufferPointer { roots in
        for root in roots {
          for row in 0..<count { body(row, leaf(nodes, Int(root), rows + row * stride)) }
        }
      }
    }
  }

  @inline(__always)
  private func leaf(_ nodes: UnsafePointer<Node>, _ root: Int, _ row: UnsafePointer<Value>) -> Node {
    switch (commonMode, tracksMissing) {
    case (.lessOrEqual, false): walk(nodes, root, row) { $0 <= $1.value }
    case (.lessOrEqual, true): walk(nodes, root, row) { $0 <= $1.value || $1.tracksTrue && $0.isNaN }
    case (.less, false): walk(nodes, root, row) { $0 < $1.value }
    case (.less, true): walk(nodes, root, row) { $0 < $1.value || $1.tracksTrue && $0.isNaN }
    default: walk(nodes, root, row) { test($1, $0) }
    }
  }

  /// `CategoryFeatures` while they are read.
  private struct KnownCategories {
    var rowWidth: Int
    var features: UnsafePointer<CategoryFeatures<Value>.Feature>?
    var values: UnsafePointer<Value>?
  }

  /// The leaf of a row that has codes in place of some features.
  @inline(__always)
  private func leaf(
    _ nodes: UnsafePointer<Node>, _ root: Int, _ row: UnsafePointer<Value>, _ known: KnownCategories
  ) -> Node {
    var node = nodes[root]
    while !node.isLeaf {
      let value: Value
      if node.feature < known.rowWidth {
        value = row[node.feature]
      } else {
        let feature = known.features.unsafelyUnwrapped + (node.feature - known.rowWidth)
        let code = Int(row[feature.pointee.column])
        if feature.pointee.isFlag {
          value = code == feature.pointee.own ? feature.pointee.value : feature.pointee.other
        } else {
          value = known.values.unsafelyUnwrapped[feature.pointee.table + code]
        }
      }
      let holds = commonMode == .lessOrEqual && !tracksMissing ? value <= node.value : test(node, value)
      node = nodes[Int(holds ? node.whenTrue : node.whenFalse)]
    }
    return node
  }

  @inline(__always)
  private func walk(
    _ nodes: UnsafePointer<Node>, _ root: Int, _ row: UnsafePointer<Value>, _ test: (Value, Node) -> Bool
  ) -> Node {
    var node = nodes[root]
    while !node.isLeaf {
      node = nodes[Int(test(row[node.feature], node) ? node.whenTrue : node.whenFalse)]
    }
    return node
  }

  /// A comparison holds, or the value is missing and the node takes such as true.
  @inline(__always)
  func test(_ node: Node, _ value: Value) -> Bool {
    let holds =
      switch node.mode {
      case .lessOrEqual: value <= node.value
      case .less: value < node.value
      case .greaterOrEqual: value >= node.value
      case .greater: value > node.value
      case .equal: value == node.value
      case .notEqual: value != node.value
      case .member: sets[Int(node.value)].contains(value)
      case .leaf: false
      }
    return holds || node.tracksTrue && value.isNaN
  }
}
