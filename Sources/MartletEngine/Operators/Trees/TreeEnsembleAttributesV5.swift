import MartletCore

/// The attributes of TreeEnsemble, version 5: inner nodes and leaves in lists of their own that name each other by
/// index.
///
/// Where ONNX Runtime and the specification differ, this is ONNX Runtime: `post_transform` 1 is LOGISTIC and 2 SOFTMAX.
/// Source: ONNX, `docs/Operators-ml.md`, TreeEnsemble.
struct TreeEnsembleAttributesV5 {
  private let node: GraphNode

  init(_ node: GraphNode) { self.node = node }

  /// Whether thresholds or rows are doubles.
  func isDouble(_ context: PlanningContext) throws(ModelError) -> Bool {
    if context.type(0) == .float64 { return true }
    return try node.tensor("nodes_splits")?.type == .float64
  }

  func aggregate() throws(ModelError) -> TreeAggregate {
    let number = try node.integer("aggregate_function", default: 1)
    switch number {
    case 0: return .average
    case 1: return .sum
    case 2: return .minimum
    case 3: return .maximum
    default: throw node.error(attribute: "aggregate_function", "is \(number), expected 0 to 3")
    }
  }

  func postTransform() throws(ModelError) -> PostTransform {
    let number = try node.integer("post_transform", default: 0)
    switch number {
    case 0: return .none
    case 1: return .logistic
    case 2: return .softmax
    case 3: return .softmaxZero
    case 4: return .probit
    default: throw node.error(attribute: "post_transform", "is \(number), expected 0 to 4")
    }
  }

  /// Reads and checks the trees. Inner nodes keep their indices, leaves come behind them; a leaf that several branches
  /// name is one leaf.
  func ensemble<Value: TreeValue>(as type: Value.Type) throws(ModelError) -> TreeEnsemble<Value> {
    let targets = try node.integer("n_targets", default: 1)
    guard targets > 0, targets <= 1 << 20 else {
      throw node.error(attribute: "n_targets", "is \(targets), expected 1 to \(1 << 20)")
    }
    var builder = TreeEnsembleBuilder<Value>()
    let features = try node.required("nodes_featureids", node.packedIntegers("nodes_featureids"))
    let inner = features.count
    guard inner > 0 else { throw node.error(attribute: "nodes_featureids", "is empty") }
    let leafTargets = try node.required("leaf_targetids", node.packedIntegers("leaf_targetids"))
    try addInnerNodes(to: &builder, features, leaves: leafTargets.count)

    let leafWeights: [Value] = try numbers("leaf_weights", count: leafTargets.count)
    for index in 0..<leafTargets.count {
      let target = leafTargets[index]
      builder.sources.append(
        .init(mode: .leaf, feature: 0, tracksTrue: false, value: 0, whenTrue: 0, whenFalse: 0))
      builder.leaves.append(
        .init(node: UInt32(inner + index), target: Int32(clamping: target), value: leafWeights[index]))
    }
    let roots = try node.required("tree_roots", node.integers("tree_roots"))
    guard !roots.isEmpty else { throw node.error(attribute: "tree_roots", "is empty") }
    builder.roots = try roots.map { (root) throws(ModelError) in
      guard root >= 0, root < inner else {
        throw node.error(attribute: "tree_roots", "has \(root), expected 0 to \(inner - 1)")
      }
      return UInt32(root)
    }
    do throws(TreeEnsembleBuilder<Value>.Problem) {
      return try builder.build(targets: Int(targets))
    } catch {
      throw node.error(error.message)
    }
  }

  private func addInnerNodes<Value: TreeValue>(
    to builder: inout TreeEnsembleBuilder<Value>, _ features: PackedIntegers, leaves: Int
  ) throws(ModelError) {
    let inner = features.count
    let splits: [Value] = try numbers("nodes_splits", count: inner)
    let modes = try node.required("nodes_modes", node.tensor("nodes_modes"))
    guard let modes = modes.integers, modes.count == inner else {
      throw node.error(attribute: "nodes_modes", "is \(modes.type) \(modes.shape), expected \(inner) whole numbers")
    }
    let whenTrue = try integers("nodes_truenodeids", count: inner)
    let trueLeaf = try integers("nodes_trueleafs", count: inner)
    let whenFalse = try integers("nodes_falsenodeids", count: inner)
    let falseLeaf = try integers("nodes_falseleafs", count: inner)
    let tracks = try node.packedIntegers("nodes_missing_value_tracks_true") ?? PackedIntegers([])
    guard tracks.count == 0 || tracks.count == inner else {
      throw node.error(
        attribute: "nodes_missing_value_tracks_true", "has \(tracks.count) elements, expected \(inner) or none")
    }
    var sets = try memberSets(of: Value.self)[...]
    builder.sources.reserveCapacity(inner + leaves)

    func child(_ index: Int64, isLeaf: Int64, _ name: String) throws(ModelError) -> UInt32 {
      let limit = isLeaf == 1 ? leaves : inner
      guard index >= 0, index < limit else {
        throw node.error(
          attribute: name, "has \(index), expected 0 to \(limit - 1) for \(isLeaf == 1 ? "a leaf" : "an inner node")")
      }
      return UInt32(isLeaf == 1 ? inner + Int(index) : Int(index))
    }
    for index in 0..<inner {
      guard modes[index] >= 0, modes[index] <= 6, let mode = BranchMode(rawValue: UInt8(modes[index])) else {
        throw node.error(attribute: "nodes_modes", "has \(modes[index]) at \(index), expected 0 to 6")
      }
      guard features[index] >= 0, features[index] < TreeEnsemble<Value>.maximumFeatures else {
        throw node.error(
          attribute: "nodes_featureids",
          "has \(features[index]) at \(index), expected 0 to \(TreeEnsemble<Value>.maximumFeatures - 1)")
      }
      var value = splits[index]
      if mode == .member {
        guard let set = sets.popFirst() else {
          throw node.error(attribute: "membership_values", "has fewer sets than nodes test membership")
        }
        // The index is exact in either precision: there are fewer sets than 2^24.
        value = Value(builder.sets.count)
        builder.sets.append(set)
        guard builder.sets.count < 1 << 24 else {
          throw node.error(attribute: "membership_values", "has more than \(1 << 24) sets, which is the limit")
        }
      }
      builder.sources.append(
        .init(
          mode: mode, feature: Int32(features[index]), tracksTrue: tracks.count > 0 && tracks[index] == 1, value: value,
          whenTrue: try child(whenTrue[index], isLeaf: trueLeaf[index], "nodes_truenodeids"),
          whenFalse: try child(whenFalse[index], isLeaf: falseLeaf[index], "nodes_falsenodeids")))
    }
    guard sets.isEmpty else {
      throw node.error(attribute: "membership_values", "has \(sets.count) more sets than nodes test membership")
    }
  }

  /// The sets in the order of the nodes that use them; each ends with a NaN.
  private func memberSets<Value: TreeValue>(of type: Value.Type) throws(ModelError) -> [MemberSet<Value>] {
    guard let tensor = try node.tensor("membership_values"), tensor.count > 0 else { return [] }
    let values: [Value] = try numbers("membership_values", count: tensor.count)
    var sets: [MemberSet<Value>] = []
    var first = 0
    for (index, value) in values.enumerated() where value.isNaN {
      sets.append(MemberSet(Array(values[first..<index])))
      first = index + 1
    }
    if first < values.count { sets.append(MemberSet(Array(values[first...]))) }
    return sets
  }

  private func integers(_ name: String, count: Int) throws(ModelError) -> PackedIntegers {
    let values = try node.required(name, node.packedIntegers(name))
    guard values.count == count else {
      throw node.error(attribute: name, "has \(values.count) elements, expected \(count) as in nodes_featureids")
    }
    return values
  }

  private func numbers<Value: TreeValue>(_ name: String, count: Int) throws(ModelError) -> [Value] {
    let tensor = try node.required(name, node.tensor(name))
    guard tensor.count == count else {
      throw node.error(attribute: name, "has \(tensor.count) elements, expected \(count)")
    }
    switch tensor.type {
    case .float32: return tensor.array(of: Float.self).map { Value($0) }
    case .float64: return tensor.array(of: Double.self).map { Value($0) }
    default: throw node.error(attribute: name, "is of \(tensor.type), expected float32 or float64")
    }
  }
}
