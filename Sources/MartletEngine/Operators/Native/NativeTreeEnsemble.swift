import MartletCore

/// TreeEnsemble of the domain `ai.martlet`: the trees of a booster's own file, attribute `ensemble`.
///
/// Output 0 is the raw margin `[rows, outputs]` in the ensemble's precision: the start value of each output, to which
/// its trees' leaves are added in order, in that precision. Output 1, computed only where it is read, is the number of
/// the leaf that the row falls into, `[rows, trees]` as 64-bit integers.
final class NativeTreeEnsembleOperator<Value: TreeValue>: TreesOperator {
  /// For the leaves' numbers, where they are read.
  private let ensemble: TreeEnsemble<Value>?
  let scorer: TreeScorer<Value>
  /// The library's number of each leaf, at the index of the leaf's first weight divided by the weights of a leaf.
  private let leafNumbers: [UInt32]
  private let weightsOfLeaf: Int

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    let native = try node.required("ensemble", node.ensemble("ensemble"))
    let layout = NativeEnsembleLayout(native, node)
    let ensemble: TreeEnsemble<Value> = try layout.ensemble(as: Value.self)
    self.ensemble = context.outputCount > 1 ? ensemble : nil
    leafNumbers = context.outputCount > 1 ? layout.leafNumbers : []
    weightsOfLeaf = native.leafVectors.isEmpty ? 1 : native.outputs
    try TreeInput<Value>.check(node, context, features: ensemble.features)
    scorer = TreeScorer(
      ensemble, .sum, startsAt: native.startsAt.map { Value($0) }, label: node.label, context.trees)
  }

  init(_ other: NativeTreeEnsembleOperator, _ scorer: TreeScorer<Value>, _ ensemble: TreeEnsemble<Value>) {
    self.scorer = scorer
    self.ensemble = other.ensemble == nil ? nil : ensemble
    leafNumbers = other.leafNumbers
    weightsOfLeaf = other.weightsOfLeaf
  }

  func run(_ context: RunContext) throws(Status) { try Value.run(self, context) }

  /// The body of `TreeValue.run`.
  @inline(__always)
  func runInline(_ context: RunContext) throws(Status) {
    let input = try TreeInput<Value>(context, features: scorer.features)
    if context.wants(0) { try sum(input, context) }
    if context.wants(1), let ensemble { try number(ensemble, input, context) }
  }

  @inline(__always)
  private func sum(_ input: TreeInput<Value>, _ context: RunContext) throws(Status) {
    let targets = scorer.targets
    let type: ElementType = Value.self == Double.self ? .float64 : .float32
    let output = try context.output(0, type, Shape(input.count, targets)).pointer(as: Value.self)
    let block = min(TreeScorer<Value>.rowsAtOnce, max(1, input.count))
    let isScored = context.temporary(block * targets, of: Bool.self)
    let temporary = UnsafeMutableRawPointer(
      context.temporary(scorer.temporaryBytes(rows: block), of: UInt8.self))
    for first in stride(from: 0, to: input.count, by: block) {
      scorer.score(
        input.rows + first * input.width, stride: input.width, count: min(block, input.count - first),
        into: TreeScores(values: output + first * targets, isScored: isScored), temporary: temporary)
    }
  }

  private func number(
    _ ensemble: TreeEnsemble<Value>, _ input: TreeInput<Value>, _ context: RunContext
  ) throws(Status) {
    let trees = ensemble.roots.count
    let output = try context.output(1, .int64, Shape(input.count, trees)).integers
    leafNumbers.withUnsafeBufferPointer { numbers in
      for first in stride(from: 0, to: input.count, by: TreeScorer<Value>.rowsAtOnce) {
        let count = min(TreeScorer<Value>.rowsAtOnce, input.count - first)
        var tree = -1
        ensemble.forEachLeaf(input.rows + first * input.width, stride: input.width, count: count) { row, leaf in
          if row == 0 { tree += 1 }
          output[(first + row) * trees + tree] = Int64(numbers[Int(leaf.whenTrue) / weightsOfLeaf])
        }
      }
    }
  }
}

extension NativeTreeEnsembleOperator where Value == Float {
  /// The operator in the precision of its ensemble.
  static func make(_ node: GraphNode, _ context: PlanningContext) throws(ModelError) -> AnyOperator {
    switch try node.required("ensemble", node.ensemble("ensemble")).precision {
    case .single: OperatorBox(try NativeTreeEnsembleOperator<Float>(node, context: context))
    case .double: OperatorBox(try NativeTreeEnsembleOperator<Double>(node, context: context))
    }
  }
}

/// Checks a booster's trees and lays them out for evaluation.
struct NativeEnsembleLayout {
  /// The most outputs of an ensemble.
  static let maximumOutputs = 1 << 20

  private let native: NativeEnsemble
  private let node: GraphNode

  init(_ native: NativeEnsemble, _ node: GraphNode) {
    self.native = native
    self.node = node
  }

  /// The library's numbers of the leaves, in the order of the nodes, which is that of their weights.
  var leafNumbers: [UInt32] { native.nodes.compactMap { $0.test == .leaf ? $0.whenTrue : nil } }

  func ensemble<Value: TreeValue>(as type: Value.Type) throws(ModelError) -> TreeEnsemble<Value> {
    try check()
    var builder = TreeEnsembleBuilder<Value>()
    builder.sets = native.categories.map {
      MemberSet(categories: $0, zeroFromBelow: native.categoryZeroFromBelow)
    }
    builder.roots = native.roots
    builder.sources.reserveCapacity(native.nodes.count)
    for (index, source) in native.nodes.enumerated() {
      builder.sources.append(try self.source(source, index))
    }
    try addLeaves(to: &builder)
    do throws(TreeEnsembleBuilder<Value>.Problem) {
      return try builder.build(targets: native.outputs)
    } catch {
      throw node.error(attribute: "ensemble", error.message)
    }
  }

  private func error(_ problem: String) -> ModelError { node.error(attribute: "ensemble", problem) }

  /// What does not depend on a single node.
  private func check() throws(ModelError) {
    guard native.outputs > 0, native.outputs <= Self.maximumOutputs else {
      throw error("has \(native.outputs) outputs, expected 1 to \(Self.maximumOutputs)")
    }
    guard native.startsAt.count == native.outputs else {
      throw error("has \(native.startsAt.count) start values, expected \(native.outputs), one for each output")
    }
    guard native.nodes.count < 1 << 31 else {
      throw error("has \(native.nodes.count) nodes, the limit is \(1 << 31)")
    }
    guard native.outputOfTree.count == native.roots.count else {
      throw error("has outputs for \(native.outputOfTree.count) trees, expected \(native.roots.count)")
    }
    if let root = native.roots.first(where: { $0 >= native.nodes.count }) {
      throw error("has a tree that begins with node \(root), expected 0 to \(native.nodes.count - 1)")
    }
    guard native.leafVectors.count % native.outputs == 0 else {
      throw error("has \(native.leafVectors.count) numbers in vectors, expected a multiple of \(native.outputs)")
    }
    // An index of a set is exact in either precision.
    guard native.categories.count < 1 << 24 else {
      throw error("has \(native.categories.count) sets of categories, the limit is \(1 << 24)")
    }
  }

  private func source<Value: TreeValue>(
    _ source: NativeEnsemble.Node, _ index: Int
  ) throws(ModelError) -> TreeEnsembleBuilder<Value>.Source {
    let mode: BranchMode =
      switch source.test {
      case .less: .less
      case .lessOrEqual: .lessOrEqual
      case .category: .member
      case .leaf: .leaf
      }
    if mode == .leaf {
      return .init(
        mode: mode, feature: 0, tracksTrue: false, value: Value(source.value), whenTrue: 0, whenFalse: 0)
    }
    guard source.feature >= 0, source.feature < TreeEnsemble<Value>.maximumFeatures else {
      throw error(
        "has feature \(source.feature) at node \(index), expected 0 to \(TreeEnsemble<Value>.maximumFeatures - 1)")
    }
    for child in [source.whenTrue, source.whenFalse] where child >= native.nodes.count {
      throw error("has node \(child) as a child of node \(index), expected 0 to \(native.nodes.count - 1)")
    }
    if mode == .member {
      guard let set = Int(exactly: source.value), native.categories.indices.contains(set) else {
        throw error(
          "has the set of categories \(source.value) at node \(index), of which there are \(native.categories.count)")
      }
    }
    return .init(
      mode: mode, feature: source.feature, tracksTrue: source.missingGoesTrue, value: Value(source.value),
      whenTrue: source.whenTrue, whenFalse: source.whenFalse)
  }

  /// Gives each leaf its one weight, for the output of the tree that it is in, or the weights of its vector.
  private func addLeaves<Value: TreeValue>(to builder: inout TreeEnsembleBuilder<Value>) throws(ModelError) {
    let count = native.nodes.count
    var seen = [Bool](repeating: false, count: count)
    var isTaken = [Bool](repeating: false, count: native.leafVectors.count / native.outputs)
    var stack: [UInt32] = []
    for (tree, root) in native.roots.enumerated() {
      stack.append(root)
      while let index = stack.popLast() {
        guard !seen[Int(index)] else { throw error("reaches node \(index) twice, in tree \(tree) for the second time") }
        seen[Int(index)] = true
        let source = native.nodes[Int(index)]
        if source.test == .leaf, !native.leafVectors.isEmpty {
          guard let vector = Int(exactly: source.value), isTaken.indices.contains(vector), !isTaken[vector] else {
            throw error(
              "has the vector \(source.value) at leaf \(index), expected 0 to \(isTaken.count - 1), another for each leaf"
            )
          }
          isTaken[vector] = true
          for target in 0..<native.outputs {
            builder.leaves.append(
              .init(
                node: index, target: Int32(target), value: Value(native.leafVectors[vector * native.outputs + target])))
          }
        } else if source.test == .leaf {
          builder.leaves.append(
            .init(node: index, target: native.outputOfTree[tree], value: Value(source.value)))
        } else {
          stack.append(source.whenTrue)
          stack.append(source.whenFalse)
        }
      }
    }
  }
}
