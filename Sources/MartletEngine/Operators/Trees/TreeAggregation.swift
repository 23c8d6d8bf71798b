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
  /// Aggregates `count` rows of `[count, stride]` into `scores`, each target in the order of the trees, from 0.
  func aggregate(
    _ aggregate: TreeAggregate, _ rows: UnsafePointer<Value>, stride: Int, count: Int, into scores: TreeScores<Value>
  ) {
    Value.aggregate(self, aggregate, rows, stride: stride, count: count, into: scores)
  }

  /// The body of `aggregate`, compiled once for each type of value where that type conforms to `TreeValue`.
  @inline(__always)
  func aggregateInline(
    _ aggregate: TreeAggregate, _ rows: UnsafePointer<Value>, stride: Int, count: Int, into scores: TreeScores<Value>
  ) {
    scores.values.initialize(repeating: 0, count: count * targets)
    scores.isScored.initialize(repeating: false, count: count * targets)
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
