import MartletCore

/// The labels of a classifier operator, texts or whole numbers, in the order of the classes.
struct ClassifierLabels: Sendable {
  private let texts: ConstantTensor?
  private let integers: [Int64]

  var count: Int { texts?.count ?? integers.count }
  var isText: Bool { texts != nil }

  /// Reads `classlabels_strings` and `integers`, the name of the other list; texts win, both may be empty.
  init(_ node: GraphNode, integers name: String) throws(ModelError) {
    let strings = try node.texts("classlabels_strings")
    texts = (strings?.count ?? 0) > 0 ? strings : nil
    integers = texts == nil ? try node.integers(name) ?? [] : []
  }

  /// Output `index` as a vector of `rows` labels.
  func reserve(_ context: RunContext, _ index: Int, rows: Int) throws(Status) -> UnsafeMutableRawPointer {
    try context.output(index, isText ? .text : .int64, Shape(rows)).bytes
  }

  /// Writes the label of class `index` for `row`. `asNumber`: the class's number itself, as ONNX Runtime writes where
  /// two whole-number classes have a score each.
  func write(_ index: Int, asNumber: Bool, to labels: UnsafeMutableRawPointer, _ row: Int) {
    if let texts {
      let known = texts.pointer(as: TextRef.self)
      labels.assumingMemoryBound(to: TextRef.self)[row] = known[min(index, texts.count - 1)]
    } else {
      labels.assumingMemoryBound(to: Int64.self)[row] = asNumber ? Int64(index) : integers[index]
    }
  }
}
