import CKernels

/// What leaves add, as tables by the number that a kernel gives to a leaf.
struct LeafTables<Value: TreeValue> {
  private(set) var values: [Value] = []
  /// For each tree where its tables are.
  private(set) var leaves: [martlet_leaves] = []

  /// `places` are, for each tree, the places of its leaves in its table. Tables of up to 64 values lie byte by byte if
  /// `isSplit`. Nil when padding to whole registers would take much more memory than the leaves.
  init?(_ coded: CodedTrees<Value>, _ places: [[Int]], isSplit: Bool = false) {
    let mostValues = 4 * coded.values.count + 1 << 18
    for (tree, places) in zip(coded.trees, places) {
      var bits = isSplit ? 6 : 4
      while 1 << bits <= places.max() ?? 0 { bits += 1 }
      leaves.append(
        .init(
          first_value: UInt32(values.count), first_output: UInt32(tree.firstOutput), outputs: UInt32(tree.outputs),
          bits: UInt32(bits)))
      guard values.count + tree.outputs << bits <= mostValues else { return nil }
      for output in 0..<tree.outputs {
        let first = values.count
        values.append(contentsOf: repeatElement(0, count: 1 << bits))
        for (leaf, place) in places.enumerated() {
          values[first + place] = coded.values[tree.firstValue + output * tree.leaves + leaf]
        }
        if isSplit, bits == 6 { split(first..<(first + 64)) }
      }
    }
  }

  /// Puts the lowest bytes of 64 values first, then the next.
  private mutating func split(_ range: Range<Int>) {
    values.withUnsafeMutableBytes { bytes in
      let size = MemoryLayout<Value>.size
      let table = UnsafeMutableRawBufferPointer(rebasing: bytes[(range.lowerBound * size)..<(range.upperBound * size)])
      let whole = Array(table)
      for (place, byte) in whole.enumerated() { table[place % size * range.count + place / size] = byte }
    }
  }
}
