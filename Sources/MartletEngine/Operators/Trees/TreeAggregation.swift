/// How the leaves of all trees become one number for each target.
enum TreeAggregate: Sendable {
  case sum
  case average
  case minimum
  case maximum

  init?(name: String) {
    switch name {
    case "SUM": self = .sum
    case "AVERAGE": self = .average
    case "MIN": self = .minimum
    case "MAX": self = .maximum
    default: return nil
    }
  }
}

/// What has come together for the rows of a block: `[rows, targets]`.
struct TreeScores<Value: TreeValue> {
  let values: UnsafeMutablePointer<Value>
  /// Whether any leaf had a weight for the target.
  let isScored: UnsafeMutablePointer<Bool>
}

extension TreeEnsemble {
  /// Aggregates `count` rows of `[count, stride]` into `scores`, each target in the order of the trees, from what
  /// `startsAt` holds for the target; nil for 0.
  ///
  /// The reference that every plan kind is compared with. For AVERAGE these are the sums.
  func aggregate(
    _ aggregate: TreeAggregate, _ rows: UnsafePointer<Value>, stride: Int, count: Int, into scores: TreeScores<Value>,
    startsAt: UnsafePointer<Value>? = nil
  ) {
    scores.isScored.initialize(repeating: false, count: count * targets)
    for place in 0..<(count * targets) { scores.values[place] = startsAt?[place % targets] ?? 0 }
    Value.walk(self, aggregate, rows, stride: stride, count: count, to: scores)
  }

  /// The body of `TreeValue.walk`.
  @inline(__always)
  func walkInline(
    _ aggregate: TreeAggregate, _ rows: UnsafePointer<Value>, stride: Int, count: Int, to scores: TreeScores<Value>
  ) {
    let values = scores.values
    let isScored = scores.isScored
    switch (aggregate, targets) {
    case (.sum, 1), (.average, 1):
      forEachLeaf(rows, stride: stride, count: count) { row, leaf in values[row] += leaf.value }
    case (.minimum, 1):
      forEachLeaf(rows, stride: stride, count: count) { row, leaf in
        if !isScored[row] || leaf.value < values[row] { values[row] = leaf.value }
        isScored[row] = true
      }
    case (.maximum, 1):
      forEachLeaf(rows, stride: stride, count: count) { row, leaf in
        if !isScored[row] || leaf.value > values[row] { values[row] = leaf.value }
        isScored[row] = true
      }
    case (.sum, _), (.average, _):
      forEachWeight(rows, stride: stride, count: count) { place, weight in
        values[place] += weight
        isScored[place] = true
      }
    case (.minimum, _):
      forEachWeight(rows, stride: stride, count: count) { place, weight in
        if !isScored[place] || weight < values[place] { values[place] = weight }
        isScored[place] = true
      }
    case (.maximum, _):
      forEachWeight(rows, stride: stride, count: count) { place, weight in
        if !isScored[place] || weight > values[place] { values[place] = weight }
        isScored[place] = true
      }
    }
  }

  @inline(__always)
  private func forEachWeight(
    _ rows: UnsafePointer<Value>, stride: Int, count: Int, _ body: (_ place: Int, _ weight: Value) -> Void
  ) {
    weights.withUnsafeBufferPointer { weights in
      forEachLeaf(rows, stride: stride, count: count) { row, leaf in
        let first = Int(leaf.whenTrue)
        for index in first..<(first + Int(leaf.whenFalse)) {
          body(row * targets + Int(weights[index].target), weights[index].value)
        }
      }
    }
  }
}
