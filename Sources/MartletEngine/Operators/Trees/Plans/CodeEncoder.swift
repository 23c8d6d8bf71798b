import CKernels

extension CodedTrees {
  /// The tables by which kernels turn values into codes.
  func encoder(_ tables: KernelTables, level: Int32) -> martlet_encoder {
    var coded: [martlet_coded_feature] = []
    var columns: [martlet_code_column] = []
    var cuts: [Value] = []
    var lookups: [UInt8] = []
    for feature in features {
      let firstColumn = columns.count
      for column in feature.columns {
        switch column {
        case .ordered(let segment, let missingIsHigh):
          let first = segment * feature.segment
          // As a value above all cuts.
          let highest = UInt16(min(feature.segment, feature.cuts.count - first))
          columns.append(.init(first: UInt32(first), lookup: .max, missing: missingIsHigh ? highest : 0))
        case .table(let codes):
          columns.append(.init(first: 0, lookup: UInt32(lookups.count), missing: 0))
          lookups += codes
        }
      }
      // A feature all of whose tests answer the same for every value.
      guard columns.count > firstColumn else { continue }
      let firstCut = cuts.count
      let levels = Self.appendLevels(feature.cuts, to: &cuts)
      coded.append(
        .init(
          feature: UInt32(feature.feature), cuts: UInt32(feature.cuts.count), levels: UInt32(levels),
          first_cut: UInt32(firstCut), first_column: UInt32(firstColumn),
          columns: UInt32(columns.count - firstColumn), is_plain: feature.isPlain))
    }
    let owners = coded.enumerated().flatMap { [UInt8](repeating: UInt8(clamping: $0), count: Int($1.columns)) }
    let hasShortRows =
      columns.count <= 64 && coded.allSatisfy { $0.cuts <= 255 } && columns.allSatisfy { $0.lookup == .max }
    let shortRows =
      owners + [UInt8](repeating: 0, count: max(0, 64 - owners.count)) + columns.map { UInt8(clamping: $0.missing) }
    return martlet_encoder(
      features: tables.store(coded), columns: tables.store(columns), cuts: tables.store(cuts),
      lookups: tables.store(lookups), feature_count: coded.count, column_count: self.columns,
      is_double: Value.self == Double.self, level: level,
      short_rows: hasShortRows ? tables.store(shortRows) : nil,
      categories: CodedCategory.kernel(categories, columns: self.columns, tables))
  }

  /// Appends the search tree of sorted cuts, 16 to a node, and returns its levels.
  private static func appendLevels(_ sorted: [Value], to cuts: inout [Value]) -> Int {
    var levels = 1
    while sorted.count >> (4 * levels) > 0 { levels += 1 }
    for level in stride(from: levels, to: 0, by: -1) {
      let step = 1 << (4 * (level - 1))
      let blocks = sorted.count >> (4 * level) + 1
      for element in 0..<(16 * blocks) {
        let cut = (element + 1) * step - 1
        cuts.append(cut < sorted.count ? sorted[cut] : .nan)
      }
    }
    return levels
  }
}
