import MartletCore

/// `CategoryMapper`: texts to their numbers, or numbers to their texts.
final class CategoryMapperOperator: Operator {
  private let table: KeyTable
  private let texts: ConstantTensor
  private let numbers: [Int64]
  private let defaultText: ConstantTensor
  private let defaultNumber: Int64
  private let takesTexts: Bool

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(1...1, of: node)
    takesTexts = try context.type(0, of: node, among: [.text, .int64]) == .text
    texts = try node.required("cats_strings", try node.texts("cats_strings"))
    numbers = try node.required("cats_int64s", try node.integers("cats_int64s"))
    guard texts.count == numbers.count else {
      throw node.error(attribute: "cats_int64s", "has \(numbers.count) values, cats_strings has \(texts.count)")
    }
    defaultText = ConstantTensor(strings: [try node.text("default_string", default: "_Unused")])
    defaultNumber = try node.integer("default_int64", default: -1)
    table = takesTexts ? KeyTable(texts: texts) : KeyTable(integers: numbers)
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    let output = try context.output(0, takesTexts ? .int64 : .text, input.shape)
    for index in 0..<input.count {
      if takesTexts {
        output.integers[index] = table.find(input.texts[index]).map { numbers[$0] } ?? defaultNumber
      } else {
        let found = table.find(input.integers[index])
        output.texts[index] =
          found.map { texts.pointer(as: TextRef.self)[$0] } ?? defaultText.pointer(as: TextRef.self)[0]
      }
    }
  }
}
