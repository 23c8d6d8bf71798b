import MartletCore

/// CategoryCode of the domain `ai.martlet`: each category replaced by its number, in single precision; a missing one,
/// an empty text or NaN, by NaN.
///
/// Attribute `categories` lists them in order, texts for a text input, whole numbers for one of real numbers. One that
/// is not among them is refused, as XGBoost refuses it; `column` is what the message calls the input.
final class CategoryCodeOperator: Operator {
  private let table: KeyTable
  private let isText: Bool
  private let column: String

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(1...1, of: node)
    let type = try context.type(0, of: node, among: [.text, .float32, .float64])
    column = try node.text("column", default: "")
    isText = type == .text
    if isText {
      table = KeyTable(texts: try node.required("categories", node.texts("categories")))
    } else {
      let categories = try node.required("categories", node.integers("categories"))
      table = KeyTable(floats: categories.map { Double($0) }, matchesNaN: false)
    }
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    let output = try context.output(0, .float32, input.shape).floats
    for index in 0..<input.count {
      let (found, isMissing) = find(input, index)
      if let found {
        output[index] = Float(found)
      } else if isMissing || context.isPlanning {
        output[index] = .nan
      } else {
        throw refusal(input, index)
      }
    }
  }

  /// Whether element `index` is a category or missing.
  func knows(_ input: Tensor, _ index: Int) -> Bool {
    let (found, isMissing) = find(input, index)
    return found != nil || isMissing
  }

  @inline(__always)
  private func find(_ input: Tensor, _ index: Int) -> (code: Int?, isMissing: Bool) {
    switch input.type {
    case .text: (table.find(input.texts[index]), input.texts[index].count == 0)
    case .float64: (table.find(input.doubles[index]), input.doubles[index].isNaN)
    default: (table.find(Double(input.floats[index])), input.floats[index].isNaN)
    }
  }

  @inline(never)
  private func refusal(_ input: Tensor, _ index: Int) -> Status {
    let came =
      switch input.type {
      case .text: "'\(input.texts[index].string.prefix(64))'"
      case .float64: "\(input.doubles[index])"
      default: "\(input.floats[index])"
      }
    return Status(
      .invalidArgument, "column '\(column)' has \(came) in row \(index) of a block, which is none of its categories")
  }
}
