import MartletEngine

/// Reads the trees of a model one after the other and appends their nodes to an ensemble, those that are in use.
///
/// A tree comes as lists with an element for each node, in any order. They are kept until its end, in memory that the
/// next tree uses again.
struct XGBoostTreeReader<Reader: DocumentReader> {
  /// The fewest bytes that a node takes in a file of XGBoost's: it bounds what a small hostile file makes us allocate.
  private static var leastBytes: Int { 28 }

  private static var deleted: UInt32 { .max }

  let features: Int
  /// Sums of a row, which leaves with vectors add to at once.
  let outputs: Int
  private(set) var ensemble: NativeEnsemble
  /// The index of each tree's first node in the ensemble.
  private(set) var firstNode: [Int] = []

  // The lists of the tree that is being read.
  private var left: [Int32] = []
  private var right: [Int32] = []
  private var feature: [Int32] = []
  private var condition: [Float] = []
  private var defaultLeft: [UInt8] = []
  private var splitType: [UInt8] = []
  private var leafWeights: [Float] = []
  private var categories: [Int32] = []
  private var categoryNodes: [Int32] = []
  private var categoryStarts: [Int32] = []
  private var categorySizes: [Int32] = []
  /// Where each of its nodes goes in the ensemble.
  private var place: [UInt32] = []
  private var order: [Int32] = []

  init(features: Int, outputs: Int) {
    self.features = features
    self.outputs = outputs
    ensemble = NativeEnsemble(precision: .single, outputs: 1, startsAt: [])
  }

  /// Reads the tree with the number `index`.
  mutating func tree(_ reader: inout Reader, _ index: Int) throws(DocumentError) {
    let begin = reader.offset
    var size: (nodes: Int?, leafVector: Int) = (nil, 1)
    var seen: Set<String> = []
    var counts: [(name: String, count: Int)] = []
    splitType.removeAll(keepingCapacity: true)
    leafWeights.removeAll(keepingCapacity: true)
    categoryNodes.removeAll(keepingCapacity: true)
    categories.removeAll(keepingCapacity: true)
    categoryStarts.removeAll(keepingCapacity: true)
    categorySizes.removeAll(keepingCapacity: true)
    try reader.object { (reader, key) throws(DocumentError) in
      seen.insert(key)
      switch key {
      case "left_children":
        try reader.integers(into: &left)
        counts.append((key, left.count))
      case "right_children":
        try reader.integers(into: &right)
        counts.append((key, right.count))
      case "split_indices":
        try reader.integers(into: &feature)
        counts.append((key, feature.count))
      case "split_conditions":
        try reader.floats(into: &condition)
        counts.append((key, condition.count))
      case "default_left":
        try reader.flags(into: &defaultLeft)
        counts.append((key, defaultLeft.count))
      case "split_type":
        try reader.flags(into: &splitType)
        counts.append((key, splitType.count))
      case "categories": try reader.integers(into: &categories)
      case "categories_nodes": try reader.integers(into: &categoryNodes)
      case "categories_segments": try reader.integers(into: &categoryStarts)
      case "categories_sizes": try reader.integers(into: &categorySizes)
      case "parents", "sum_hessian", "loss_changes": counts.append((key, try reader.skip()))
      case "id":
        let id = try reader.integer()
        guard id == Int64(index) else { throw reader.error("is \(id), expected \(index)") }
      case "leaf_weights": try reader.floats(into: &leafWeights)
      case "tree_param": size = try parameters(&reader)
      default: try reader.skip()
      }
    }
    for name in ["tree_param", "left_children", "right_children", "split_indices", "split_conditions", "default_left"] {
      guard seen.contains(name) else { throw reader.error("has no \(name)") }
    }
    guard let nodes = size.nodes else { throw reader.error("tree_param has no num_nodes") }
    guard size.leafVector == 1 || seen.contains("leaf_weights") else {
      throw reader.error(
        "has leaves with vectors, but no leaf_weights, as versions before 3.2 saved them; load the model with 3.2 and "
          + "save it again")
    }
    for (name, count) in counts {
      guard count == nodes else { throw reader.error("has \(count) elements, expected \(nodes)").inside(name) }
    }
    let bytes = reader.offset - begin
    guard bytes / Self.leastBytes >= nodes else {
      throw reader.error("has \(nodes) nodes in \(bytes) bytes, which no file of XGBoost's has")
    }
    try place(nodes, reader)
    if size.leafVector == 1, index == 0 || ensemble.leafVectors.isEmpty {
      try append(reader, firstVector: nil)
    } else {
      try appendVectors(size.leafVector, index, reader)
    }
  }

  /// `tree_param`, whose numbers are texts.
  private func parameters(_ reader: inout Reader) throws(DocumentError) -> (nodes: Int?, leafVector: Int) {
    var nodes: Int?
    var leafVector = 1
    try reader.object { (reader, key) throws(DocumentError) in
      switch key {
      case "num_nodes": nodes = try reader.numberInText(1...Int(Int32.max))
      case "size_leaf_vector": leafVector = max(1, try reader.numberInText(0...XGBoostGraph.maximumOutputs))
      default: try reader.skip()
      }
    }
    return (nodes, leafVector)
  }

  /// Appends a tree whose leaves hold vectors, which all trees of a model have or none.
  private mutating func appendVectors(_ size: Int, _ index: Int, _ reader: Reader) throws(DocumentError) {
    guard size == outputs, index == 0 || !ensemble.leafVectors.isEmpty else {
      throw reader.error(
        "has leaves of \(size) numbers, expected \(index > 0 && ensemble.leafVectors.isEmpty ? 1 : outputs)")
    }
    guard !leafWeights.isEmpty, leafWeights.count % size == 0 else {
      throw reader.error("has \(leafWeights.count) elements, expected a multiple of \(size)").inside("leaf_weights")
    }
    let first = ensemble.leafVectors.count / size
    for weight in leafWeights { ensemble.leafVectors.appendGrowingSlowly(Double(weight)) }
    try append(reader, firstVector: first)
  }

  /// Finds the nodes that the first one leads to, and where each goes: those that pruning deleted stay out.
  private mutating func place(_ nodes: Int, _ reader: Reader) throws(DocumentError) {
    place.removeAll(keepingCapacity: true)
    place.reserveCapacity(nodes)
    for _ in 0..<nodes { place.append(Self.deleted) }
    order.removeAll(keepingCapacity: true)
    let base = ensemble.nodes.count
    place[0] = UInt32(base)
    order.append(0)
    var next = 0
    while next < order.count {
      let node = Int(order[next])
      next += 1
      // A leaf is a node without a left child.
      guard left[node] != -1 else { continue }
      for (name, child) in [("left_children", left[node]), ("right_children", right[node])] {
        guard child > 0, child < nodes else {
          throw reader.error("is \(child), expected 1 to \(nodes - 1), or -1 for a leaf").inside(node).inside(name)
        }
        guard place[Int(child)] == Self.deleted else {
          throw reader.error("is \(child), a node that has another parent already").inside(node).inside(name)
        }
        place[Int(child)] = UInt32(base + order.count)
        order.appendGrowingSlowly(child)
      }
    }
  }

  /// Appends the nodes in use. `firstVector` is the vector that the tree's own numbers of vectors begin with, where its
  /// leaves hold such.
  private mutating func append(_ reader: Reader, firstVector: Int?) throws(DocumentError) {
    guard ensemble.nodes.count + order.count < 1 << 31 else {
      throw reader.error("brings the nodes of the model to \(ensemble.nodes.count + order.count), the limit is 2^31")
    }
    var sets = try categorySets(reader)
    var isTaken = [Bool](repeating: false, count: firstVector == nil ? 0 : leafWeights.count / outputs)
    firstNode.append(ensemble.nodes.count)
    ensemble.roots.append(UInt32(ensemble.nodes.count))
    for node in order.lazy.map({ Int($0) }) {
      guard left[node] != -1 else {
        var value = Double(condition[node])
        if let firstVector {
          // The right child of such a leaf is the number of its vector.
          guard right[node] >= 0, right[node] < isTaken.count, !isTaken[Int(right[node])] else {
            throw reader.error(
              "is \(right[node]), expected 0 to \(isTaken.count - 1) for a leaf with a vector, another for each"
            ).inside(node).inside("right_children")
          }
          isTaken[Int(right[node])] = true
          value = Double(firstVector + Int(right[node]))
        }
        ensemble.nodes.appendGrowingSlowly(
          .init(
            test: .leaf, feature: 0, missingGoesTrue: false, value: value, whenTrue: UInt32(node), whenFalse: 0))
        continue
      }
      guard feature[node] >= 0, Int(feature[node]) < features else {
        throw reader.error("is \(feature[node]), expected 0 to \(features - 1)").inside(node).inside("split_indices")
      }
      let (whenLeft, whenRight) = (place[Int(left[node])], place[Int(right[node])])
      guard !splitType.isEmpty, splitType[node] == 1 else {
        ensemble.nodes.appendGrowingSlowly(
          .init(
            test: .less, feature: feature[node], missingGoesTrue: defaultLeft[node] != 0,
            value: Double(condition[node]), whenTrue: whenLeft, whenFalse: whenRight))
        continue
      }
      // The categories that a node lists go right; without a list all go left.
      ensemble.nodes.appendGrowingSlowly(
        .init(
          test: .category, feature: feature[node], missingGoesTrue: defaultLeft[node] == 0,
          value: Double(ensemble.categories.count), whenTrue: whenRight, whenFalse: whenLeft))
      ensemble.categories.appendGrowingSlowly(sets.removeValue(forKey: Int32(node)) ?? [])
    }
  }

  /// The sets of categories by their node.
  private func categorySets(_ reader: Reader) throws(DocumentError) -> [Int32: [Int64]] {
    guard !categoryNodes.isEmpty else { return [:] }
    guard categoryStarts.count == categoryNodes.count, categorySizes.count == categoryNodes.count else {
      throw reader.error(
        "has \(categoryNodes.count) categories_nodes, \(categoryStarts.count) categories_segments and "
          + "\(categorySizes.count) categories_sizes, expected as many of each")
    }
    var sets: [Int32: [Int64]] = [:]
    sets.reserveCapacity(categoryNodes.count)
    var total = 0
    for index in categoryNodes.indices {
      let (start, size) = (Int(categoryStarts[index]), Int(categorySizes[index]))
      guard start >= 0, size > 0, start <= categories.count, size <= categories.count - start else {
        throw reader.error(
          "is \(size) from \(start) on, expected a part of the \(categories.count) categories"
        ).inside(index).inside("categories_sizes")
      }
      // Segments that overlap would make much of a small file.
      total += size
      guard total <= categories.count else {
        throw reader.error("has \(total) elements together, expected \(categories.count)").inside("categories_sizes")
      }
      var set: [Int64] = []
      set.reserveCapacity(size)
      for place in start..<(start + size) {
        guard categories[place] >= 0, categories[place] < 1 << 24 else {
          throw reader.error("is \(categories[place]), expected 0 to 2^24 - 1").inside(place).inside("categories")
        }
        set.append(Int64(categories[place]))
      }
      if !zip(set, set.dropFirst()).allSatisfy({ $0 < $1 }) { set.sort() }
      guard sets.updateValue(set, forKey: categoryNodes[index]) == nil else {
        throw reader.error("is \(categoryNodes[index]) for the second time").inside(index).inside("categories_nodes")
      }
    }
    return sets
  }

  // MARK: All trees

  /// The ensemble of the first `trees` trees, each of which adds to its output; consumes the reader's nodes.
  consuming func finish(trees: Int, outputOfTree: [Int32], outputs: Int, treeWeights: [Float]?) -> NativeEnsemble {
    var result = ensemble
    ensemble = NativeEnsemble(precision: .single, outputs: 1, startsAt: [])
    if trees < firstNode.count {
      result.nodes.removeSubrange(firstNode[trees]...)
      result.roots.removeSubrange(trees...)
    }
    result.outputOfTree = Array(outputOfTree.prefix(trees))
    result.outputs = outputs
    if let treeWeights {
      for tree in 0..<trees {
        let end = tree + 1 < trees ? firstNode[tree + 1] : result.nodes.count
        for node in firstNode[tree]..<end where result.nodes[node].test == .leaf {
          // Rounded to single precision, as the library multiplies before it adds; and added to 0 before, as it has each
          // tree predict by itself: a leaf of -0 is 0 then.
          result.nodes[node].value = Double((0 + Float(result.nodes[node].value)) * treeWeights[tree])
        }
      }
    }
    return result
  }
}

extension DocumentReader {
  /// A whole number in `range` that is written as a text, as XGBoost writes parameters, or as a number.
  mutating func numberInText(_ range: ClosedRange<Int>) throws(DocumentError) -> Int {
    let value: Int
    if try kind() == .text {
      let text = try text(limit: 64)
      guard let number = Int(text) else { throw error("is '\(text)', expected a whole number") }
      value = number
    } else {
      value = Int(try integer())
    }
    guard range.contains(value) else {
      throw error("is \(value), expected \(range.lowerBound) to \(range.upperBound)")
    }
    return value
  }
}
