import MartletCore

/// `Einsum`: sums of products over named dimensions; an ellipsis stands for the dimensions that have no letter, which are
/// broadcast.
///
/// Letters that the result does not name are summed, in the order in which the equation names them. Every element is
/// computed by itself, in 64 bits for real numbers: right for the small tensors of tabular models, not fast.
final class EinsumOperator: Operator {
  private let type: ElementType
  /// For each operand, the number of the letter of each dimension.
  private let operands: [[Int]]
  /// Letters of the result, which come first, and how many there are in all.
  private let resultRank: Int
  private let letters: Int
  /// Which letters are broadcast.
  private let isBroadcast: [Bool]

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    let equation = try node.required("equation", try node.text("equation"))
    guard context.inputCount > 0 else { throw node.error("has no inputs, expected at least 1") }
    type = try context.type(0, of: node, among: [.float32, .float64, .int32, .int64])
    for index in 1..<max(1, context.inputCount) { _ = try context.type(index, of: node, among: [type]) }
    let text = equation.filter { $0 != " " }
    let sides = text.split(separator: "-", omittingEmptySubsequences: false)
    let written = sides[0].split(separator: ",", omittingEmptySubsequences: false).map(Array.init)
    // An ellipsis becomes digits, the last dimension of all of them the same one.
    let hidden = written.indices.map { index in
      written[index].contains(".") ? max(0, (context.shape(index)?.rank ?? 0) - (written[index].count - 3)) : 0
    }
    let widest = hidden.max() ?? 0
    func spelled(_ term: [Character], _ count: Int) -> [Character]? {
      guard let dot = term.firstIndex(of: ".") else { return term }
      guard term.count >= dot + 3, term[dot..<(dot + 3)].allSatisfy({ $0 == "." }) else { return nil }
      return term[..<dot] + "01234567".prefix(widest).suffix(count) + term[(dot + 3)...]
    }
    let terms = widest > Shape.maximumRank ? [] : zip(written, hidden).compactMap { spelled($0, $1) }
    let isValid = sides.count == 1 || (sides.count == 2 && sides[1].first == ">")
    guard isValid, terms.count == context.inputCount,
      terms.allSatisfy({
        $0.count <= Shape.maximumRank && $0.allSatisfy { $0.isASCII && ($0.isLetter || $0.isWholeNumber) }
      }), !text.contains(where: \.isWholeNumber)
    else {
      throw node.error(
        attribute: "equation", "is '\(equation)', expected single letters for \(context.inputCount) inputs")
    }
    let right = sides.count == 2 ? spelled(Array(sides[1].dropFirst()), widest) : nil
    guard sides.count == 1 || right != nil else {
      throw node.error(attribute: "equation", "is '\(equation)', which has dots that are no ellipsis")
    }
    let named = terms.flatMap { $0 }
    // Without a right side: the dimensions of an ellipsis, then the letters that occur once, in alphabetical order.
    let result =
      right
      ?? Set(named).filter { letter in letter.isWholeNumber || named.count { $0 == letter } == 1 }.sorted()
    guard Set(result).count == result.count, result.allSatisfy(named.contains) else {
      throw node.error(attribute: "equation", "is '\(equation)': the result's letters are not one of each input letter")
    }
    var order = result
    for letter in named where !order.contains(letter) { order.append(letter) }
    guard order.count <= Shape.maximumRank else {
      throw node.error(attribute: "equation", "is '\(equation)', at most \(Shape.maximumRank) letters are possible")
    }
    operands = terms.map { term in term.map { letter in order.firstIndex(of: letter) ?? 0 } }
    resultRank = result.count
    letters = order.count
    isBroadcast = order.map(\.isWholeNumber)
  }

  func run(_ context: RunContext) throws(Status) {
    // Sizes of all letters, and for each operand how far a step of the letter goes in it.
    var sizes = Shape()
    for _ in 0..<letters { sizes.append(-1) }
    let strides = context.temporary(operands.count * letters, of: Int.self)
    strides.update(repeating: 0, count: operands.count * letters)
    for operand in operands.indices {
      let shape = context.input(operand).shape
      guard shape.rank == operands[operand].count else {
        throw Status(
          .invalidArgument, "input \(operand) has the shape \(shape), the equation \(operands[operand].count) letters")
      }
      let own = shape.strides
      for dimension in 0..<shape.rank {
        let letter = operands[operand][dimension]
        if isBroadcast[letter], sizes[letter] != -1, shape[dimension] == 1 { continue }
        if isBroadcast[letter], sizes[letter] == 1 {
          // What has had size 1 so far is repeated.
          sizes[letter] = -1
          for other in 0..<operand { strides[other * letters + letter] = 0 }
        }
        guard sizes[letter] == -1 || sizes[letter] == shape[dimension] else {
          throw Status(
            .invalidArgument, "input \(operand) has the shape \(shape), a letter has size \(sizes[letter]) before")
        }
        sizes[letter] = shape[dimension]
        strides[operand * letters + letter] += own[dimension]
      }
    }
    guard let work = sizes.checkedElements, work <= Self.maximumWork else {
      throw Status(.invalidArgument, "the sum over the sizes \(sizes) is too large")
    }
    let result = try context.output(0, type, sizes.prefix(resultRank))
    switch type {
    case .float32: sum(context, result, sizes, strides, Float.self)
    case .float64: sum(context, result, sizes, strides, Double.self)
    case .int32: sum(context, result, sizes, strides, Int32.self)
    default: sum(context, result, sizes, strides, Int64.self)
    }
  }

  /// Products of one call: a few tenths of a second of work.
  private static let maximumWork = 1 << 24

  private func sum<T: NumericElement>(
    _ context: RunContext, _ result: Tensor, _ sizes: Shape, _ strides: UnsafePointer<Int>, _: T.Type
  ) {
    let to = result.pointer(as: T.self)
    let summed = sizes.product(resultRank..<letters)
    var counters = InlineArray<8, Int>(repeating: 0)
    for i in 0..<result.count {
      var real = 0.0
      var whole = T.zero
      for _ in 0..<summed {
        var realProduct = 1.0
        var wholeProduct: T = 1
        for operand in operands.indices {
          var offset = 0
          for letter in 0..<letters { offset += counters[letter] * strides[operand * letters + letter] }
          let value = context.input(operand).pointer(as: T.self)[offset]
          if T.isFloatingPoint {
            realProduct *= value.asDouble
          } else {
            wholeProduct = T.product(wholeProduct, value)
          }
        }
        real += realProduct
        whole = T.sum(whole, wholeProduct)
        advance(&counters, sizes, from: resultRank, to: letters)
      }
      to[i] = T.isFloatingPoint ? T(converting: real) : whole
      advance(&counters, sizes, from: 0, to: resultRank)
    }
  }

  /// Moves to the next position of the letters in a range, the last one fastest.
  private func advance(_ counters: inout InlineArray<8, Int>, _ sizes: Shape, from first: Int, to end: Int) {
    for letter in stride(from: end - 1, through: first, by: -1) {
      counters[letter] += 1
      if counters[letter] < sizes[letter] { return }
      counters[letter] = 0
    }
  }
}
