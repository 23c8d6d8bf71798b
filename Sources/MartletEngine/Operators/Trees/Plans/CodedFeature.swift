/// What the trees ask about one feature: the values at which the answer of any test changes, and the columns of codes
/// that tests read.
///
/// A *cut* u asks `value >= u`, the *rank* of a value is the number of cuts for which that holds. All values of one
/// rank go the same way at every node; what NaN does is asked apart.
struct CodedFeature<Value: TreeValue> {
  /// One code for each row that nodes compare with their threshold.
  enum Column: Hashable {
    /// The rank less `segment` times the greatest code, held in what a code can be; NaN is the least code, or the
    /// greatest with `missingIsHigh`.
    case ordered(segment: Int, missingIsHigh: Bool)
    /// The code of each rank, then of NaN.
    case table([UInt8])
  }

  /// The most cuts of a feature: two bytes of rank.
  static var maximumCuts: Int { 65_535 }

  let feature: Int
  /// Cuts of one ordered column: the greatest code, so that a code above them all is left.
  let segment: Int
  private(set) var cuts: [Value] = []
  private(set) var columns: [Column] = []
  private var places: [Column: Int] = [:]
  /// Places of ordered columns, by segment and what is missing; -1 where there is none yet.
  private var orderedPlaces: [Int32] = []

  init(feature: Int, segment: Int) {
    self.feature = feature
    self.segment = segment
  }

  /// Whether the one column's code is the rank itself, and 0 for NaN.
  var isPlain: Bool { columns == [.ordered(segment: 0, missingIsHigh: false)] && cuts.count <= segment }

  /// Adds the values at which `node`'s answer changes.
  mutating func addCuts(_ node: TreeEnsemble<Value>.Node, _ sets: [MemberSet<Value>]) {
    let value = node.value
    switch node.mode {
    case .less, .greaterOrEqual: if !value.isNaN { cuts.append(value) }
    case .lessOrEqual, .greater: if value < .infinity { cuts.append(value.nextUp) }
    case .equal, .notEqual:
      if !value.isNaN { cuts.append(value) }
      if value < .infinity { cuts.append(value.nextUp) }
    case .member: sets[Int(value)].appendCuts(to: &cuts)
    case .leaf: break
    }
  }

  /// Sorts what came in; false when it is too much.
  mutating func closeCuts() -> Bool {
    Value.sort(&cuts)
    var kept = 0
    for index in cuts.indices where kept == 0 || cuts[kept - 1] < cuts[index] {
      cuts[kept] = cuts[index]
      kept += 1
    }
    cuts.removeLast(cuts.count - kept)
    return kept <= Self.maximumCuts
  }

  /// The number of cuts that are at most `value`: its rank.
  func rank(_ value: Value) -> Int {
    var low = 0
    var high = cuts.count
    while low < high {
      let middle = (low + high) / 2
      if cuts[middle] <= value { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// The code in a column of one byte that `value` has.
  func code(_ value: Value, in column: Column) -> UInt8 {
    switch column {
    case .ordered(_, let missingIsHigh) where value.isNaN: missingIsHigh ? UInt8(segment) : 0
    case .ordered(let number, _): UInt8(min(max(0, rank(value) - number * segment), segment))
    case .table(let codes): value.isNaN ? codes[cuts.count + 1] : codes[rank(value)]
    }
  }

  /// The place of an ordered column among those of this feature.
  mutating func place(segment: Int, missingIsHigh: Bool) -> Int {
    if orderedPlaces.isEmpty { orderedPlaces = [Int32](repeating: -1, count: 2 * (cuts.count / self.segment + 1)) }
    let index = 2 * segment + (missingIsHigh ? 1 : 0)
    if orderedPlaces[index] < 0 {
      orderedPlaces[index] = Int32(columns.count)
      columns.append(.ordered(segment: segment, missingIsHigh: missingIsHigh))
    }
    return Int(orderedPlaces[index])
  }

  /// The place of a column of answers among those of this feature.
  mutating func place(_ answers: [UInt8]) -> Int {
    let column = Column.table(answers)
    if let place = places[column] { return place }
    places[column] = columns.count
    columns.append(column)
    return columns.count - 1
  }
}

extension MemberSet {
  /// Adds the values at which membership changes, and perhaps some more.
  fileprivate func appendCuts(to cuts: inout [Value]) {
    for member in exact where !member.isNaN {
      cuts.append(member)
      if member < .infinity { cuts.append(member.nextUp) }
    }
    guard !whole.isEmpty else { return }
    cuts.append(-0x1p63)
    cuts.append(0x1p63)
    if least > -.infinity { cuts.append(least) }
    // A value is cut towards zero: k takes k..<k+1 above it, k-1<...k below, and 0 both sides.
    for member in whole {
      if member >= 0 {
        cuts.append(member == 0 ? Value(-1).nextUp : Self.least(notBelow: member))
        if member < .max { cuts.append(Self.least(notBelow: member + 1)) }
      } else {
        if member > .min { cuts.append(Self.least(above: member - 1)) }
        cuts.append(Self.least(above: member))
      }
    }
  }

  private static func least(notBelow integer: Int64) -> Value {
    let value = Value(integer)
    return value < 0x1p63 && Int64(value) < integer ? value.nextUp : value
  }

  private static func least(above integer: Int64) -> Value {
    let value = least(notBelow: integer)
    return value < 0x1p63 && Int64(value) == integer ? value.nextUp : value
  }
}
