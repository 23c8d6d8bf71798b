/// Rows for measuring an ensemble: each value is near a threshold that the ensemble compares its feature with, so that
/// the ways down are as many as in use. The same for the same ensemble.
struct TreeSamples<Value: TreeValue> {
  /// `[count, stride]`.
  let rows: [Value]
  let count: Int
  let stride: Int

  /// Bounds of memory and of the time to fill it.
  private static var maximumValues: Int { 1 << 20 }
  private static var maximumDrawn: Int { 1 << 17 }
  /// Nodes that are looked at for thresholds.
  private static var maximumNodes: Int { 1 << 15 }

  /// The body of `TreeValue.samples`: at most `wanted` rows, fewer when they are wide.
  @inline(__always)
  init(inline ensemble: TreeEnsemble<Value>, wanted: Int) {
    let step = max(1, ensemble.nodes.count / Self.maximumNodes)
    // By feature, as a list of places that are chained.
    var last = [Int32](repeating: -1, count: ensemble.features)
    var previous: [Int32] = []
    var levels: [Value] = []
    var used: [Int32] = []
    for index in Swift.stride(from: 0, to: ensemble.nodes.count, by: step) {
      let node = ensemble.nodes[index]
      guard !node.isLeaf, node.feature < ensemble.rowWidth else { continue }
      if last[node.feature] < 0 { used.append(Int32(node.feature)) }
      previous.append(last[node.feature])
      last[node.feature] = Int32(levels.count)
      // Categories are small whole numbers.
      let value = node.mode == .member ? Value(levels.count & 31) : node.value
      levels.append(value.isFinite ? value : 0)
    }
    stride = max(1, ensemble.rowWidth)
    count = max(1, min(wanted, Self.maximumValues / stride, Self.maximumDrawn / max(1, used.count)))
    var rows = [Value](repeating: 0, count: count * stride)
    var state: UInt64 = 0x2545_f491_4f6c_dd1d
    func random() -> UInt64 {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return state
    }
    var choices: [Value] = []
    for feature in used {
      choices.removeAll(keepingCapacity: true)
      var place = last[Int(feature)]
      while place >= 0 {
        choices.append(levels[Int(place)])
        place = previous[Int(place)]
      }
      for row in 0..<count {
        let bits = random()
        let level = choices[Int((bits >> 16) % UInt64(choices.count))]
        rows[row * stride + Int(feature)] =
          switch bits & 3 {
          case 0: level.nextUp
          case 1: level.nextDown
          default: level
          }
      }
    }
    var filled = -1
    for feature in ensemble.categories?.features ?? [] where feature.column != filled {
      filled = feature.column
      for row in 0..<count { rows[row * stride + filled] = Value(random() % UInt64(feature.codes)) }
    }
    if ensemble.tracksMissing {
      // A few values are missing.
      for row in Swift.stride(from: 0, to: count, by: 16) where !used.isEmpty {
        rows[row * stride + Int(used[Int(random() % UInt64(used.count))])] = .nan
      }
    }
    self.rows = rows
  }
}
