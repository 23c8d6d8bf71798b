import CKernels

/// The columns of an `InterleavedPlan` that follow from categories, with their values by category.
struct CategoryColumns<Value: TreeValue> {
  private var categories: [martlet_category] = []
  private var own: [UInt32] = []
  private var values: [Value] = []
  private var others: [Value] = []
  private var lookups: [Value] = []

  /// `columns` in the order in which a tile has them, category by category and flags first.
  @inline(__always)
  init(_ columns: [InterleavedLayout<Value>.SetColumn], _ ensemble: TreeEnsemble<Value>) {
    guard let known = ensemble.categories else { return }
    for (index, column) in columns.enumerated() {
      let feature = known.features[Int(column.feature) - known.rowWidth]
      if categories.last?.feature != UInt32(feature.column) {
        categories.append(
          martlet_category(
            feature: UInt32(feature.column), codes: UInt32(feature.codes), first_column: UInt32(index), flags: 0,
            tables: 0, first_value: UInt32(lookups.count)))
      }
      let set = column.set == InterleavedLayout<Value>.SetColumn.noSet ? nil : ensemble.sets[Int(column.set)]
      func answer(_ value: Value) -> Value {
        guard let set else { return value }
        return set.contains(value) ? 1 : value.isNaN ? .nan : 0
      }
      own.append(UInt32(feature.own))
      values.append(answer(feature.value))
      others.append(answer(feature.other))
      if feature.isFlag {
        categories[categories.count - 1].flags += 1
      } else {
        categories[categories.count - 1].tables += 1
        for code in 0..<feature.codes { lookups.append(answer(known.value(feature, code: code))) }
      }
    }
  }

  /// Nil without categories.
  func kernel(_ memory: NodeMemory) -> UnsafePointer<martlet_category_values>? {
    guard !categories.isEmpty else { return nil }
    return UnsafePointer(
      memory.store([
        martlet_category_values(
          categories: memory.store(categories), count: categories.count, columns: own.count, own: memory.store(own),
          values: memory.store(values), others: memory.store(others), lookups: memory.store(lookups))
      ]))
  }
}
