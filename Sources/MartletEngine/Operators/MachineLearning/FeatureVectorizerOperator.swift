import MartletCore

/// `FeatureVectorizer`: the columns of all inputs side by side, each as wide as `inputdimensions` says.
final class FeatureVectorizerOperator: Operator {
  private let widths: [Int]

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    let widths = try node.required("inputdimensions", try node.integers("inputdimensions"))
    guard widths.count == context.inputCount, !widths.isEmpty, widths.allSatisfy({ $0 >= 0 && $0 < 1 << 24 }) else {
      throw node.error(attribute: "inputdimensions", "has \(widths.count) sizes for \(context.inputCount) inputs")
    }
    for index in widths.indices { _ = try context.type(index, of: node, among: NumericInput.types) }
    self.widths = widths.map(Int.init)
  }

  func run(_ context: RunContext) throws(Status) {
    let rows = context.input(0).rank == 1 ? 1 : context.input(0).dim(0)
    let total = widths.reduce(0, +)
    let output = try context.output(0, .float32, Shape(rows, total)).floats
    output.update(repeating: 0, count: rows * total)
    var first = 0
    for (index, width) in widths.enumerated() {
      let input = context.input(index)
      let (itsRows, columns) = try NumericInput.matrix(input)
      guard itsRows == rows else {
        throw Status(.invalidArgument, "input \(index) has \(itsRows) rows, input 0 has \(rows)")
      }
      let values = NumericInput.floats(input, context)
      for row in 0..<rows {
        for column in 0..<min(width, columns) { output[row * total + first + column] = values[row * columns + column] }
      }
      first += width
    }
  }
}
