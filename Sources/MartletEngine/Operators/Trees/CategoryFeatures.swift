/// Features that are functions of a category: a row of the ensemble has the category's code, a whole number, in place
/// of all that an encoder makes of it.
///
/// Nodes test such features as they test others, so every answer is the one that the encoder's own numbers have.
struct CategoryFeatures<Value: TreeValue>: Sendable {
  /// A feature as a function of the code that stands in a column of the row.
  struct Feature: BitwiseCopyable {
    var column: Int
    /// How many codes there are.
    var codes: Int
    /// What one code comes to and what all others come to: a flag. Nothing of this counts when there is a table.
    var own = 0
    var value: Value = 0
    var other: Value = 0
    /// Where the values of all codes begin in `values`; -1 for a flag.
    var table = -1

    var isFlag: Bool { table < 0 }
  }

  /// Columns of a row: the number of the first feature here, those below it being columns themselves.
  let rowWidth: Int
  private(set) var features: [Feature] = []
  private(set) var values: [Value] = []

  init(rowWidth: Int) { self.rowWidth = rowWidth }

  /// Appends the feature that has these values by code, 0 where none is given, and returns its number.
  mutating func append(column: Int, codes: Int, _ given: [(code: Int, value: Value)]) -> Int {
    var feature = Feature(column: column, codes: codes)
    if let flag = Self.flag(codes: codes, given) {
      (feature.own, feature.value, feature.other) = flag
    } else {
      feature.table = values.count
      values.append(contentsOf: repeatElement(0, count: codes))
      for (code, value) in given { values[feature.table + code] = value }
    }
    features.append(feature)
    return rowWidth + features.count - 1
  }

  /// The one code that has another value than all others; nil when several have.
  private static func flag(
    codes: Int, _ given: [(code: Int, value: Value)]
  ) -> (own: Int, value: Value, other: Value)? {
    if given.count < 2 { return given.first.map { ($0.code, $0.value, 0) } ?? (0, 0, 0) }
    guard given.count >= codes - 1 else { return nil }
    // What is not given is 0; of three values two are the common one.
    let all = given.count == codes ? given : given + [(missing(given), 0)]
    let common =
      all.count < 3 || same(all[0].value, all[1].value) || same(all[0].value, all[2].value)
      ? all[0].value : all[1].value
    let others = all.filter { !same($0.value, common) }
    guard others.count < 2 else { return nil }
    return (others.first?.code ?? 0, others.first?.value ?? common, common)
  }

  private static func missing(_ given: [(code: Int, value: Value)]) -> Int {
    // The codes from 0 on add up to this.
    given.count * (given.count + 1) / 2 - given.reduce(0) { $0 + $1.code }
  }

  /// Whether no test tells the values apart.
  private static func same(_ a: Value, _ b: Value) -> Bool { a == b || a.isNaN && b.isNaN }

  /// The value of the feature numbered `feature` for a row of codes.
  @inline(__always)
  func value(_ feature: Int, _ row: UnsafePointer<Value>) -> Value {
    let own = features[feature - rowWidth]
    return value(own, code: Int(row[own.column]))
  }

  @inline(__always)
  func value(_ feature: Feature, code: Int) -> Value {
    if feature.isFlag { return code == feature.own ? feature.value : feature.other }
    return values[feature.table + code]
  }
}

/// The rows of an ensemble after its encoder is gone: what each feature of the rows before is now.
struct CategoryRows {
  enum Source {
    /// A column of the row.
    case number(Int)
    /// A function of the code in a column: the bits of the values that are not 0, in the encoder's precision.
    case category(column: Int, codes: Int, values: [(code: Int, bits: UInt64)])
  }

  /// Columns of a row.
  let width: Int
  /// Whether the encoder's numbers are of single precision.
  let isSingle: Bool
  let sources: [Source]

  /// Features of categories that have a value of their own for each code take so many in all.
  static let maximumValues = 1 << 20
}

extension TreeEnsemble {
  /// The same trees on rows of codes; nil when a node reads what the rows do not have, or tables grow too large.
  func reading(_ rows: CategoryRows) -> TreeEnsemble? {
    var categories = CategoryFeatures<Value>(rowWidth: rows.width)
    var numbers = [Int](repeating: -1, count: rows.sources.count)
    var isRead = [Bool](repeating: false, count: rows.sources.count)
    for node in nodes where !node.isLeaf {
      guard node.feature < isRead.count else { return nil }
      isRead[node.feature] = true
    }
    // Features of one category have numbers that follow each other.
    let order = rows.sources.indices.filter { isRead[$0] }.sorted { rows.order($0) < rows.order($1) }
    for index in order {
      switch rows.sources[index] {
      case .number(let column): numbers[index] = column
      case .category(let column, let codes, let values):
        numbers[index] = categories.append(
          column: column, codes: codes,
          values.map {
            let value =
              rows.isSingle ? Value(Float(bitPattern: UInt32($0.bits))) : Value(Double(bitPattern: $0.bits))
            return (code: $0.code, value: value)
          })
      }
      guard categories.values.count <= CategoryRows.maximumValues else { return nil }
    }
    guard rows.width + categories.features.count <= Self.maximumFeatures else { return nil }
    return TreeEnsemble(
      nodes: nodes.map { node in
        node.isLeaf
          ? node
          : Node(
            mode: node.mode, feature: numbers[node.feature], tracksTrue: node.tracksTrue, value: node.value,
            whenTrue: Int(node.whenTrue), whenFalse: Int(node.whenFalse))
      }, roots: roots, weights: weights, sets: sets, targets: targets, commonMode: commonMode,
      tracksMissing: tracksMissing, features: rows.width + categories.features.count,
      scoresEveryTarget: scoresEveryTarget, categories: categories)
  }
}

extension CategoryRows {
  /// Numbers as they come, then the features of each category.
  fileprivate func order(_ source: Int) -> (Int, Int) {
    switch sources[source] {
    case .number: (-1, source)
    case .category(let column, _, _): (column, source)
    }
  }
}
