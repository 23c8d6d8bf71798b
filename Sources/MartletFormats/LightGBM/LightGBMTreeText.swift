import MartletEngine

/// The lines of one tree, not yet read.
struct LightGBMTreeText {
  typealias Line = LightGBMLines.Line

  private(set) var leaves: Line?
  private(set) var categorySets: Line?
  private(set) var features: Line?
  private(set) var thresholds: Line?
  private(set) var decisions: Line?
  private(set) var left: Line?
  private(set) var right: Line?
  private(set) var values: Line?
  private(set) var boundaries: Line?
  private(set) var words: Line?
  private(set) var isLinear: Line?
  private(set) var constants: Line?
  private(set) var coefficientCounts: Line?
  private(set) var coefficientFeatures: Line?
  private(set) var coefficients: Line?

  mutating func add(_ line: Line, tree: Int) throws(ModelError) {
    guard let (key, value) = line.splitAtEquals() else {
      throw ModelError("tree \(tree): there is \(line.excerpt), expected KEY=VALUE or an empty line")
    }
    func set(_ place: inout Line?) throws(ModelError) {
      guard place == nil else { throw ModelError("tree \(tree): \(key.excerpt) is there twice") }
      place = value
    }
    // What is not listed says how the tree was trained.
    if key.isText("num_leaves") { try set(&leaves) }
    if key.isText("num_cat") { try set(&categorySets) }
    if key.isText("split_feature") { try set(&features) }
    if key.isText("threshold") { try set(&thresholds) }
    if key.isText("decision_type") { try set(&decisions) }
    if key.isText("left_child") { try set(&left) }
    if key.isText("right_child") { try set(&right) }
    if key.isText("leaf_value") { try set(&values) }
    if key.isText("cat_boundaries") { try set(&boundaries) }
    if key.isText("cat_threshold") { try set(&words) }
    if key.isText("is_linear") { try set(&isLinear) }
    if key.isText("leaf_const") { try set(&constants) }
    if key.isText("num_features") { try set(&coefficientCounts) }
    if key.isText("leaf_features") { try set(&coefficientFeatures) }
    if key.isText("leaf_coeff") { try set(&coefficients) }
  }
}

/// One list of a tree, whose values are taken one by one; messages name tree, key and position.
struct LightGBMTreeList {
  private var values: LightGBMValues
  private let key: StaticString
  private let tree: Int
  /// Values expected; nil where other lists tell while they are read.
  private let count: Int?

  /// Errors: the list is not there though values are expected.
  init(_ line: LightGBMLines.Line?, _ key: StaticString, tree: Int, count: Int?) throws(ModelError) {
    guard line != nil || count ?? 0 == 0 else { throw ModelError("tree \(tree), \(key): is missing") }
    values = LightGBMValues(line ?? UnsafeRawBufferPointer(start: nil, count: 0))
    self.key = key
    self.tree = tree
    self.count = count
  }

  func error(_ problem: String) -> ModelError { ModelError("tree \(tree), \(key): \(problem)") }

  private mutating func next() throws(ModelError) -> UnsafeRawBufferPointer {
    guard let text = values.next() else {
      throw error("has \(values.taken) values, expected \(count.map { "\($0)" } ?? "more")")
    }
    return text
  }

  /// A whole number in `range`.
  mutating func integer(_ range: Range<Int>) throws(ModelError) -> Int {
    let text = try next()
    guard let value = LightGBMNumber.integer(text), range.contains(Int(value)) else {
      throw error(
        "value \(values.taken - 1) is \(text.excerpt), expected a whole number from \(range.lowerBound) to "
          + "\(range.upperBound - 1)")
    }
    return Int(value)
  }

  mutating func word() throws(ModelError) -> UInt32 {
    let text = try next()
    guard let value = LightGBMNumber.word(text) else {
      throw error("value \(values.taken - 1) is \(text.excerpt), expected a whole number from 0 to \(UInt32.max)")
    }
    return value
  }

  /// A number that may be infinite: the library writes `inf` where only missing values leave the others.
  mutating func threshold() throws(ModelError) -> Double {
    let text = try next()
    guard let value = LightGBMNumber.double(text) ?? Self.infinity(text) else {
      throw error("value \(values.taken - 1) is \(text.excerpt), expected a number")
    }
    return value
  }

  /// What a leaf gives, which is infinite or no number where training has diverged.
  mutating func output() throws(ModelError) -> Double {
    let text = try next()
    if text.isText("nan") || text.isText("-nan") { return .nan }
    guard let value = LightGBMNumber.double(text) ?? Self.infinity(text) else {
      throw error("value \(values.taken - 1) is \(text.excerpt), expected a number")
    }
    return value
  }

  private static func infinity(_ text: UnsafeRawBufferPointer) -> Double? {
    text.isText("inf") ? .infinity : text.isText("-inf") ? -.infinity : nil
  }

  /// Errors: there are more values than expected.
  mutating func finish() throws(ModelError) {
    if values.next() != nil { throw error("has more values than the \(count ?? values.taken - 1) expected") }
  }
}
