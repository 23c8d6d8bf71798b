import CKernels

/// A category whose code, a whole number in a column of the input, becomes columns of codes of one byte.
struct CodedCategory {
  /// A column that one category has a code of its own in.
  struct Flag: BitwiseCopyable {
    var own: Int
    var value: UInt8
    var other: UInt8
  }

  var column: Int
  /// How many categories there are.
  var codes: Int
  /// The first of its columns: those of flags, then those of tables.
  var firstColumn: Int
  var flags: [Flag] = []
  /// Bytes by category.
  var tables: [[UInt8]] = []
}

/// The numbers of columns of codes: those of features in their order, then category by category.
struct CodedColumns {
  private(set) var count = 0
  private(set) var categories: [CodedCategory] = []
  /// By feature, then by place.
  private var first: [Int32] = []
  private var columns: [Int32] = []

  init<Value: TreeValue>(_ features: [CodedFeature<Value>], _ known: CategoryFeatures<Value>?) {
    for feature in features {
      first.append(Int32(columns.count))
      columns.append(contentsOf: repeatElement(-1, count: feature.columns.count))
    }
    let rowWidth = known?.rowWidth ?? .max
    for (index, feature) in features.enumerated() where feature.feature < rowWidth {
      for place in feature.columns.indices { number(index, place) }
    }
    guard let known else { return }
    let coded = features.indices.filter { features[$0].feature >= rowWidth }
      .sorted { features[$0].feature < features[$1].feature }
    // Features of one category have numbers that follow each other.
    var next = 0
    while next < coded.count {
      let column = known.features[features[coded[next]].feature - rowWidth].column
      let end =
        coded[next...].firstIndex { known.features[features[$0].feature - rowWidth].column != column } ?? coded.count
      add(coded[next..<end].map { ($0, features[$0], known.features[features[$0].feature - rowWidth]) }, known)
      next = end
    }
  }

  private mutating func number(_ feature: Int, _ place: Int) {
    columns[Int(first[feature]) + place] = Int32(count)
    count += 1
  }

  private mutating func add<Value: TreeValue>(
    _ features: [(index: Int, tests: CodedFeature<Value>, own: CategoryFeatures<Value>.Feature)],
    _ known: CategoryFeatures<Value>
  ) {
    var category = CodedCategory(column: features[0].own.column, codes: features[0].own.codes, firstColumn: count)
    for (index, tests, own) in features where own.isFlag {
      for (place, column) in tests.columns.enumerated() {
        category.flags.append(
          CodedCategory.Flag(
            own: own.own, value: tests.code(own.value, in: column), other: tests.code(own.other, in: column)))
        number(index, place)
      }
    }
    for (index, tests, own) in features where !own.isFlag {
      for (place, column) in tests.columns.enumerated() {
        category.tables.append((0..<own.codes).map { tests.code(known.value(own, code: $0), in: column) })
        number(index, place)
      }
    }
    categories.append(category)
  }

  func column(feature: Int, place: Int) -> Int32 { columns[Int(first[feature]) + place] }
}

extension CodedCategory {
  /// The tables by which kernels turn codes of categories into `columns` columns of codes; nil without categories.
  static func kernel(
    _ categories: [CodedCategory], columns: Int, _ tables: KernelTables
  ) -> UnsafePointer<martlet_category_codes>? {
    guard !categories.isEmpty else { return nil }
    var own = [UInt16](repeating: 0, count: columns)
    var values = [UInt8](repeating: 0, count: columns)
    var others = values
    var lookups: [UInt8] = []
    var kernels: [martlet_category] = []
    for category in categories {
      kernels.append(
        martlet_category(
          feature: UInt32(category.column), codes: UInt32(category.codes), first_column: UInt32(category.firstColumn),
          flags: UInt32(category.flags.count), tables: UInt32(category.tables.count),
          first_value: UInt32(lookups.count)))
      for (index, flag) in category.flags.enumerated() {
        own[category.firstColumn + index] = UInt16(flag.own)
        values[category.firstColumn + index] = flag.value
        others[category.firstColumn + index] = flag.other
      }
      for table in category.tables { lookups += table }
    }
    return tables.store([
      martlet_category_codes(
        categories: tables.store(kernels), count: kernels.count, own: tables.store(own), values: tables.store(values),
        others: tables.store(others), lookups: tables.store(lookups))
    ])
  }
}
