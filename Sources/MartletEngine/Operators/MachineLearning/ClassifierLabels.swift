import MartletCore

/// The labels of a classifier operator, texts or whole numbers, in the order of the classes.
struct ClassifierLabels: @unchecked Sendable {
  // `@unchecked Sendable`: `start` addresses the tensor's elements, which are never written.
  private let values: ConstantTensor
  private let start: UnsafeRawPointer

  let count: Int
  let isText: Bool

  /// Reads `classlabels_strings` and `integers`, the name of the other list; texts win, both may be empty.
  init(_ node: GraphNode, integers name: String) throws(ModelError) {
    if let strings = try node.texts("classlabels_strings"), strings.count > 0 {
      values = strings
    } else {
      let integers = try node.integers(name) ?? []
      values = ConstantTensor(.int64, Shape(integers.count), integers)
    }
    count = values.count
    isText = values.type == .text
    start = UnsafeRawPointer(values.memory)
  }

  /// Output `index` as a vector of `rows` labels.
  func reserve(_ context: RunContext, _ index: Int, rows: Int) throws(Status) -> UnsafeMutableRawPointer {
    try context.output(index, isText ? .text : .int64, Shape(rows)).bytes
  }

  /// Labels that are whole numbers, by class; nil for texts.
  var integers: UnsafePointer<Int64>? { isText ? nil : start.assumingMemoryBound(to: Int64.self) }

  /// Writes the label of class `index` for `row`. `asNumber`: the class's number itself, as ONNX Runtime writes where
  /// two whole-number classes have a score each.
  @inline(__always)
  func write(_ index: Int, asNumber: Bool, to labels: UnsafeMutableRawPointer, _ row: Int) {
    if isText {
      labels.assumingMemoryBound(to: TextRef.self)[row] =
        start.assumingMemoryBound(to: TextRef.self)[min(index, count - 1)]
    } else {
      labels.assumingMemoryBound(to: Int64.self)[row] =
        asNumber ? Int64(index) : start.assumingMemoryBound(to: Int64.self)[index]
    }
  }
}
