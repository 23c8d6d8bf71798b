import MartletCore

/// `OneHotEncoder`: a dimension more, with a 1 where the category stands. Numbers are cut to integers first.
final class OneHotEncoderOperator: Operator {
  private let table: KeyTable
  private let isText: Bool
  private let allowsUnknown: Bool

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(1...1, of: node)
    let texts = try node.texts("cats_strings").flatMap { $0.count > 0 ? $0 : nil }
    let integers = try node.integers("cats_int64s") ?? []
    guard (texts == nil) != integers.isEmpty else {
      throw node.error("has \(texts == nil ? "neither" : "both") of cats_strings and cats_int64s, expected one of them")
    }
    isText = texts != nil
    if let texts {
      _ = try context.type(0, of: node, among: [.text])
      table = KeyTable(texts: texts)
    } else {
      _ = try context.type(0, of: node, among: NumericInput.types)
      table = KeyTable(integers: integers)
    }
    allowsUnknown = try node.integer("zeros", default: 1) != 0
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    guard input.rank < Shape.maximumRank else {
      throw Status(.invalidArgument, "input 0 has the shape \(input.shape), which leaves no room for another dimension")
    }
    var shape = input.shape
    shape.append(table.count)
    let output = try context.output(0, .float32, shape).floats
    output.update(repeating: 0, count: input.count * table.count)
    for index in 0..<input.count {
      if let found = find(input, index) {
        output[index * table.count + found] = 1
      } else if !allowsUnknown, !context.isPlanning {
        throw Status(.invalidArgument, "element \(index) of input 0 is in no category")
      }
    }
  }

  /// Whether element `index` is in a category.
  func knows(_ input: Tensor, _ index: Int) -> Bool { find(input, index) != nil }

  @inline(__always)
  private func find(_ input: Tensor, _ index: Int) -> Int? {
    if isText { return table.find(input.texts[index]) }
    // What has no integer part is in no category.
    let whole =
      input.type == .int64
      ? input.integers[index] : Int64(exactly: NumericInput.value(input, index).rounded(.towardZero))
    return whole.flatMap { table.find($0) }
  }
}
