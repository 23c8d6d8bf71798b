import MartletCore

/// `ArrayFeatureExtractor`: columns of the last dimension, picked by number. A vector gives one row.
final class ArrayFeatureExtractorOperator: Operator {
  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(2...2, of: node)
    _ = try context.type(0, of: node, among: NumericInput.types + [.text])
    _ = try context.type(1, of: node, among: [.int64])
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    let picked = context.input(1)
    guard input.rank > 0, picked.count > 0 else {
      throw Status(.invalidArgument, "input 0 has the shape \(input.shape) and input 1 \(picked.shape)")
    }
    let columns = input.shape.last
    let rows = input.rank == 1 ? 1 : input.shape.product(0..<(input.rank - 1))
    var shape = input.shape
    if input.rank == 1 { shape = Shape(1, picked.count) } else { shape[input.rank - 1] = picked.count }
    let output = try context.output(0, input.type, shape)
    for index in 0..<picked.count where picked.integers[index] < 0 || picked.integers[index] >= Int64(columns) {
      // In the planning run, whose rows are made up, columns may be picked by what a row holds.
      guard context.isPlanning else {
        throw Status(.invalidArgument, "input 1 picks column \(picked.integers[index]) of \(columns)")
      }
      output.bytes.initializeMemory(as: UInt8.self, repeating: 0, count: output.byteCount)
      return
    }
    switch input.type.byteWidth {
    case 4: Self.pick(input, picked, output, rows, columns, UInt32.self)
    case 8: Self.pick(input, picked, output, rows, columns, UInt64.self)
    default: Self.pick(input, picked, output, rows, columns, TextRef.self)
    }
  }

  @inline(__always)
  private static func pick<Element: BitwiseCopyable>(
    _ input: Tensor, _ picked: Tensor, _ output: Tensor, _ rows: Int, _ columns: Int, _: Element.Type
  ) {
    let from = input.pointer(as: Element.self)
    let to = output.pointer(as: Element.self)
    let count = picked.count
    for row in 0..<rows {
      for index in 0..<count { to[row * count + index] = from[row * columns + Int(picked.integers[index])] }
    }
  }
}
