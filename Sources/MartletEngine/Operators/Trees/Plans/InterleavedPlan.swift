import CKernels

/// Nodes of 8 bytes (12 or 16 where those do not do) with siblings side by side, walked by eight rows at once, or by one
/// row in many trees: any depth and any number of thresholds.
///
/// Values are compared as they are, without codes. A test of a set looks at a column that is computed once a row.
/// MIN and MAX are left to the walk.
final class InterleavedPlan<Value: TreeValue>: TreePlan<Value>, @unchecked Sendable {
  // `@unchecked Sendable`: as the base class says.
  let trees: InterleavedTrees<Value>

  override class var kind: String { "interleaved" }

  required init?(_ ensemble: TreeEnsemble<Value>, _ aggregate: TreeAggregate) {
    guard aggregate == .sum || aggregate == .average, let trees = Value.interleave(ensemble) else { return nil }
    self.trees = trees
    super.init(ensemble, aggregate)
  }

  override var bytes: Int { trees.memory.bytes }

  override func temporaryBytes(rows: Int) -> Int {
    let lanes = Int(MARTLET_WALK_LANES)
    return (rows + lanes - 1) / lanes * lanes * trees.width * MemoryLayout<Value>.stride
  }

  override func add(
    _ rows: UnsafePointer<Value>, stride: Int, count: Int, to scores: TreeScores<Value>,
    temporary: UnsafeMutableRawPointer
  ) {
    Value.addInterleaved(trees, rows, stride: stride, count: count, to: scores, temporary: temporary)
  }
}

/// What an `InterleavedPlan` scores with.
final class InterleavedTrees<Value: TreeValue>: @unchecked Sendable {
  // `@unchecked Sendable`: written by `init` only.

  /// Fewer rows are walked one by one, in many trees at once: that hides the way to nodes that come from far, which
  /// a few rows in one tree do not.
  let fewRows: Int

  /// Nodes of more bytes do not stay in a second-level cache.
  private static var farBytes: Int { 1 << 20 }

  /// Columns of a row, those of sets included.
  let width: Int
  /// Whether nodes are `martlet_walk_narrow`.
  let isNarrow: Bool
  let memory = NodeMemory()
  private let setColumns: [InterleavedLayout<Value>.SetColumn]
  private let sets: [MemberSet<Value>]
  /// What fills the columns of categories, which are the last; nil without any.
  let categories: UnsafePointer<martlet_category_values>?
  let kernel: UnsafeMutablePointer<martlet_walk_trees>

  deinit { kernel.deallocate() }

  /// Lays the nodes out. `make` gives a node of a value, a word and the distance to its children; `weight` a weight;
  /// `index` the value whose bits are the index of a leaf's weights.
  @inline(__always)
  init<Node: BitwiseCopyable, Weight: BitwiseCopyable>(
    inline ensemble: TreeEnsemble<Value>, _ layout: borrowing InterleavedLayout<Value>, isNarrow: Bool,
    index: (UInt32) -> Value, weight: (TreeEnsemble<Value>.Weight) -> Weight,
    node make: (_ value: Value, _ word: UInt32, _ distance: Int) -> Node
  ) {
    self.isNarrow = isNarrow
    let isFar = layout.count * MemoryLayout<Node>.stride > Self.farBytes && layout.roots.count >= 32
    fewRows = isFar ? 96 : 5
    width = layout.columns.count + layout.sets.count + layout.categories.count
    categories = CategoryColumns(layout.categories, ensemble).kernel(memory)
    setColumns = layout.sets
    sets = layout.sets.isEmpty ? [] : ensemble.sets
    var kernel = martlet_walk_trees()
    kernel.roots = memory.store(layout.roots)
    kernel.levels = memory.store(layout.levels)
    kernel.groups = memory.store(layout.groups)
    kernel.group_count = layout.groups.count
    kernel.columns = memory.store(layout.columns)
    kernel.column_count = layout.columns.count
    kernel.set_count = layout.sets.count + layout.categories.count
    kernel.column_mask = UInt32((1 << layout.columnBits) - 1) << UInt32(MARTLET_WALK_COLUMN_SHIFT)
    kernel.child_shift = UInt32(Int(MARTLET_WALK_COLUMN_SHIFT) + layout.columnBits)
    kernel.is_plain = layout.isPlain
    kernel.targets = ensemble.targets
    kernel.leaves = MARTLET_WALK_ONE_TARGET
    var firstWeights: [UInt32] = []
    if ensemble.targets > 1 {
      if layout.treeTargets.isEmpty {
        kernel.leaves = MARTLET_WALK_WEIGHTS
        kernel.weights = UnsafeRawPointer(memory.store(ensemble.weights.map(weight)))
      } else {
        kernel.leaves = MARTLET_WALK_TREE_TARGET
        kernel.tree_targets = memory.store(layout.treeTargets)
      }
    }
    let leaves = kernel.leaves
    let nodes = memory.reserve(layout.count, of: Node.self)
    kernel.nodes = UnsafeRawPointer(nodes)
    kernel.node_count = layout.count
    // Leaves are written where they lie, a shared one several times; so each place has an entry of its own.
    layout.forEachSlot(ensemble) { slot, place in
      let node = ensemble.nodes[place]
      if !node.isLeaf {
        let test = layout.test(node)
        nodes[slot] = make(test.threshold, test.word, layout.distance(from: slot, toChildrenOf: place))
      } else if leaves == MARTLET_WALK_ONE_TARGET {
        nodes[slot] = make(node.value, 0, 0)
      } else if leaves == MARTLET_WALK_TREE_TARGET {
        nodes[slot] = make(ensemble.weights[Int(node.whenTrue)].value, 0, 0)
      } else {
        nodes[slot] = make(index(UInt32(firstWeights.count)), 0, 0)
        firstWeights.append(node.whenTrue)
        firstWeights.append(node.whenTrue + node.whenFalse)
      }
    }
    if leaves == MARTLET_WALK_WEIGHTS { kernel.first_weights = memory.store(firstWeights) }
    self.kernel = .allocate(capacity: 1)
    self.kernel.initialize(to: kernel)
  }

  /// Fills the columns of sets of one row, each `step` elements behind the other; returns whether any is missing.
  @inline(__always)
  private func fillSets(_ row: UnsafePointer<Value>, _ columns: UnsafeMutablePointer<Value>, step: Int) -> Bool {
    var isMissing = false
    for index in 0..<setColumns.count {
      let column = setColumns[index]
      let value = row[Int(column.feature)]
      let isMember = sets[Int(column.set)].contains(value)
      columns[index * step] = isMember ? 1 : value.isNaN ? .nan : 0
      isMissing = isMissing || value.isNaN && !isMember
    }
    return isMissing
  }

  /// Copies the columns of one row; returns whether any is missing.
  @inline(__always)
  func fillRow(_ row: UnsafePointer<Value>, _ columns: UnsafeMutablePointer<Value>) -> Bool {
    var isMissing = false
    let count = kernel.pointee.column_count
    let places = kernel.pointee.columns.unsafelyUnwrapped
    for index in 0..<count {
      let value = row[Int(places[index])]
      columns[index] = value
      isMissing = isMissing || value.isNaN
    }
    return setColumns.isEmpty ? isMissing : fillSets(row, columns + count, step: 1) || isMissing
  }

  /// Fills the columns of sets of all tiles; returns whether any is missing.
  @inline(__always)
  func fillSets(
    ofTiles tiles: UnsafeMutablePointer<Value>, _ rows: UnsafePointer<Value>, stride: Int, count: Int
  ) -> Bool {
    guard !setColumns.isEmpty else { return false }
    let lanes = Int(MARTLET_WALK_LANES)
    let columns = kernel.pointee.column_count
    var isMissing = false
    for first in Swift.stride(from: 0, to: count, by: lanes) {
      for lane in 0..<lanes {
        let row = first + lane < count ? first + lane : first
        let place = tiles + first * width + columns * lanes + lane
        isMissing = fillSets(rows + row * stride, place, step: lanes) || isMissing
      }
    }
    return isMissing
  }
}

extension Float {
  static func interleave(_ ensemble: TreeEnsemble<Float>) -> InterleavedTrees<Float>? {
    guard let layout = InterleavedLayout<Float>(inline: ensemble, lineNodes: 8) else { return nil }
    let index = { (index: UInt32) in Float(bitPattern: index) }
    let weight = { (weight: TreeEnsemble<Float>.Weight) in
      martlet_walk_weight_float(target: weight.target, value: weight.value)
    }
    let shift = Int(MARTLET_WALK_COLUMN_SHIFT) + layout.columnBits
    if shift < 31, layout.reach < 1 << (31 - shift) {
      return InterleavedTrees(inline: ensemble, layout, isNarrow: true, index: index, weight: weight) {
        martlet_walk_narrow(value: $0, word: $1 | UInt32(truncatingIfNeeded: $2) << UInt32(shift))
      }
    }
    guard layout.columnBits <= 24 else { return nil }
    return InterleavedTrees(inline: ensemble, layout, isNarrow: false, index: index, weight: weight) {
      martlet_walk_wide(value: $0, word: $1, child: Int32($2))
    }
  }

  static func addInterleaved(
    _ trees: InterleavedTrees<Float>, _ rows: UnsafePointer<Float>, stride: Int, count: Int,
    to scores: TreeScores<Float>, temporary: UnsafeMutableRawPointer
  ) {
    let kernel = UnsafePointer(trees.kernel)
    let tiles = temporary.assumingMemoryBound(to: Float.self)
    if count < trees.fewRows {
      for row in 0..<count {
        var hasMissing = trees.fillRow(rows + row * stride, tiles)
        if let own = trees.categories {
          hasMissing = martlet_category_row_float(own, rows + row * stride, tiles, trees.width) || hasMissing
        }
        let values = scores.values + row * kernel.pointee.targets
        let isScored = scores.isScored + row * kernel.pointee.targets
        if trees.isNarrow {
          martlet_walk_narrow_row(kernel, tiles, hasMissing, values, isScored)
        } else {
          martlet_walk_wide_row(kernel, tiles, hasMissing, values, isScored)
        }
      }
      return
    }
    var hasMissing = martlet_walk_tiles_float(kernel, rows, stride, count, tiles)
    hasMissing = trees.fillSets(ofTiles: tiles, rows, stride: stride, count: count) || hasMissing
    if let own = trees.categories {
      hasMissing = martlet_category_tiles_float(own, rows, stride, count, tiles, trees.width) || hasMissing
    }
    if trees.isNarrow {
      martlet_walk_narrow_rows(kernel, tiles, count, hasMissing, scores.values, scores.isScored)
    } else {
      martlet_walk_wide_rows(kernel, tiles, count, hasMissing, scores.values, scores.isScored)
    }
  }
}

extension Double {
  static func interleave(_ ensemble: TreeEnsemble<Double>) -> InterleavedTrees<Double>? {
    guard let layout = InterleavedLayout<Double>(inline: ensemble, lineNodes: 4), layout.columnBits <= 24 else {
      return nil
    }
    return InterleavedTrees(
      inline: ensemble, layout, isNarrow: false, index: { Double(bitPattern: UInt64($0)) },
      weight: { martlet_walk_weight_double(target: $0.target, value: $0.value) },
      node: { martlet_walk_double(value: $0, word: $1, child: Int32($2)) })
  }

  static func addInterleaved(
    _ trees: InterleavedTrees<Double>, _ rows: UnsafePointer<Double>, stride: Int, count: Int,
    to scores: TreeScores<Double>, temporary: UnsafeMutableRawPointer
  ) {
    let kernel = UnsafePointer(trees.kernel)
    let tiles = temporary.assumingMemoryBound(to: Double.self)
    if count < trees.fewRows {
      for row in 0..<count {
        var hasMissing = trees.fillRow(rows + row * stride, tiles)
        if let own = trees.categories {
          hasMissing = martlet_category_row_double(own, rows + row * stride, tiles, trees.width) || hasMissing
        }
        let place = row * kernel.pointee.targets
        martlet_walk_double_row(kernel, tiles, hasMissing, scores.values + place, scores.isScored + place)
      }
      return
    }
    var hasMissing = martlet_walk_tiles_double(kernel, rows, stride, count, tiles)
    hasMissing = trees.fillSets(ofTiles: tiles, rows, stride: stride, count: count) || hasMissing
    if let own = trees.categories {
      hasMissing = martlet_category_tiles_double(own, rows, stride, count, tiles, trees.width) || hasMissing
    }
    martlet_walk_double_rows(kernel, tiles, count, hasMissing, scores.values, scores.isScored)
  }
}
