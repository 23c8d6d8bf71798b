import MartletCore

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The attributes of TreeEnsembleRegressor and TreeEnsembleClassifier: nodes and leaf weights as parallel lists that
/// name each other by tree and node id.
///
/// Source: ONNX, `docs/Operators-ml.md`, versions 1 and 3 of both operators.
struct TreeEnsembleAttributes {
  private let node: GraphNode
  /// "target" or "class", with which the names of the leaf weights begin.
  private let kind: String

  init(_ node: GraphNode, kind: String) {
    self.node = node
    self.kind = kind
  }

  /// Whether any attribute holds double precision, or the input does.
  func isDouble(_ context: PlanningContext) throws(ModelError) -> Bool {
    if context.type(0) == .float64 { return true }
    for name in ["nodes_values_as_tensor", "\(kind)_weights_as_tensor", "base_values_as_tensor"] {
      if try node.tensor(name)?.type == .float64 { return true }
    }
    return false
  }

  /// Numbers that are a list of floats, or a tensor of floats or doubles; empty when neither is there.
  func numbers<Value: TreeValue>(_ name: String, as type: Value.Type) throws(ModelError) -> [Value] {
    let floats = try node.floats(name)
    let tensor = try node.tensor("\(name)_as_tensor")
    switch (floats, tensor) {
    case (let floats?, nil): return floats.map { Value($0) }
    case (nil, let tensor?) where tensor.type == .float32: return tensor.array(of: Float.self).map { Value($0) }
    case (nil, let tensor?) where tensor.type == .float64: return tensor.array(of: Double.self).map { Value($0) }
    case (nil, let tensor?):
      throw node.error(attribute: "\(name)_as_tensor", "is of \(tensor.type), expected float32 or float64")
    case (nil, nil): return []
    case (.some, .some): throw node.error(attribute: name, "is there as a list and as a tensor, expected one of them")
    }
  }

  func postTransform() throws(ModelError) -> PostTransform {
    let name = try node.text("post_transform", default: "NONE")
    guard let transform = PostTransform(name: name) else {
      throw node.error(attribute: "post_transform", "is '\(name)', expected \(PostTransform.names)")
    }
    return transform
  }

  /// Reads, resolves and checks the trees; leaves add to `targets` sums.
  func ensemble<Value: TreeValue>(targets: Int, as type: Value.Type) throws(ModelError) -> TreeEnsemble<Value> {
    var builder = TreeEnsembleBuilder<Value>()
    let keys = try addNodes(to: &builder)
    try addLeaves(to: &builder, keys)
    do throws(TreeEnsembleBuilder<Value>.Problem) {
      return try builder.build(targets: targets)
    } catch {
      throw node.error(error.message)
    }
  }

  private func integers(_ name: String, count: Int? = nil) throws(ModelError) -> PackedIntegers {
    let values = try node.required(name, node.packedIntegers(name))
    if let count, values.count != count {
      throw node.error(attribute: name, "has \(values.count) elements, expected \(count) as in nodes_treeids")
    }
    return values
  }

  private func addNodes<Value: TreeValue>(
    to builder: inout TreeEnsembleBuilder<Value>
  ) throws(ModelError) -> TreeNodeKeys {
    let keys = try TreeNodeKeys(trees: integers("nodes_treeids"), nodes: integers("nodes_nodeids"), node)
    let count = keys.count
    let features = try integers("nodes_featureids", count: count)
    let whenTrue = try integers("nodes_truenodeids", count: count)
    let whenFalse = try integers("nodes_falsenodeids", count: count)
    let modes = try node.required("nodes_modes", node.texts("nodes_modes"))
    let values = try numbers("nodes_values", as: Value.self)
    let tracks = try node.packedIntegers("nodes_missing_value_tracks_true") ?? PackedIntegers([])
    guard modes.count == count else {
      throw node.error(attribute: "nodes_modes", "has \(modes.count) elements, expected \(count) as in nodes_treeids")
    }
    guard values.count == count else {
      throw node.error(attribute: "nodes_values", "has \(values.count) elements, expected \(count) as in nodes_treeids")
    }
    guard tracks.count == 0 || tracks.count == count else {
      throw node.error(
        attribute: "nodes_missing_value_tracks_true", "has \(tracks.count) elements, expected \(count) or none")
    }
    builder.roots = keys.roots
    builder.sources.reserveCapacity(count)
    let names = modes.pointer(as: TextRef.self)
    for index in 0..<count {
      let mode = try Self.mode(names[index], index, node)
      var source = TreeEnsembleBuilder<Value>.Source(
        mode: mode, feature: 0, tracksTrue: tracks.count > 0 && tracks[index] == 1, value: values[index], whenTrue: 0,
        whenFalse: 0)
      if mode != .leaf {
        guard features[index] >= 0, features[index] < TreeEnsemble<Value>.maximumFeatures else {
          throw node.error(
            attribute: "nodes_featureids",
            "has \(features[index]) at \(index), expected 0 to \(TreeEnsemble<Value>.maximumFeatures - 1)")
        }
        source.feature = Int32(features[index])
        source.whenTrue = try keys.child(whenTrue[index], of: index, "nodes_truenodeids", node)
        source.whenFalse = try keys.child(whenFalse[index], of: index, "nodes_falsenodeids", node)
      }
      builder.sources.append(source)
    }
    return keys
  }

  private func addLeaves<Value: TreeValue>(
    to builder: inout TreeEnsembleBuilder<Value>, _ keys: TreeNodeKeys
  ) throws(ModelError) {
    let trees = try integers("\(kind)_treeids")
    let nodes = try integers("\(kind)_nodeids")
    let targets = try integers("\(kind)_ids")
    let weights = try numbers("\(kind)_weights", as: Value.self)
    guard nodes.count == trees.count, targets.count == trees.count, weights.count == trees.count else {
      throw node.error(
        "\(kind)_treeids, _nodeids, _ids and _weights have \(trees.count), \(nodes.count), \(targets.count) and "
          + "\(weights.count) elements, expected as many of each")
    }
    builder.leaves.reserveCapacity(trees.count)
    for index in 0..<trees.count {
      guard let place = keys.index(tree: trees[index], node: nodes[index]) else {
        throw node.error(
          attribute: "\(kind)_nodeids",
          "names node \(nodes[index]) of tree \(trees[index]) at \(index), which does not exist")
      }
      builder.leaves.append(
        .init(node: place, target: Int32(clamping: targets[index]), value: weights[index]))
    }
  }

  private static func mode(_ name: TextRef, _ index: Int, _ node: GraphNode) throws(ModelError) -> BranchMode {
    for (known, mode) in modes where known.utf8CodeUnitCount == name.count {
      if let start = name.start, memcmp(start, known.utf8Start, name.count) == 0 { return mode }
    }
    throw node.error(attribute: "nodes_modes", "has '\(name.string.prefix(40))' at \(index), which is no mode")
  }

  private static let modes: [(StaticString, BranchMode)] = [
    ("BRANCH_LEQ", .lessOrEqual), ("LEAF", .leaf), ("BRANCH_LT", .less), ("BRANCH_GTE", .greaterOrEqual),
    ("BRANCH_GT", .greater), ("BRANCH_EQ", .equal), ("BRANCH_NEQ", .notEqual),
  ]
}
