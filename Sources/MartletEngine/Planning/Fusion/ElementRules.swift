import MartletCore

/// What a step makes of its inputs' elements, for operators whose every element depends on few.
struct ElementRules {
  /// The elements of a row of each output; nil for one that nobody reads.
  private(set) var outputs: [[RowElement]?] = []

  /// Operators that compute each element from those at the same place, refuse no value and call no text by its bytes
  /// but to compare it.
  private static let elementwise: Set<String> = [
    "Cast", "Where", "Equal", "Not", "And", "Or", "Xor", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Add",
    "Sub", "Mul", "Div", "Neg", "Abs", "Sqrt", "Exp", "Log", "Pow", "Clip", "Max", "Min", "Sum", "Scaler", "Imputer",
    "IsNaN", "IsInf", "Round", "Floor", "Ceil", "Sigmoid", "Relu", "Tanh", "Sign", "Reciprocal",
  ]

  /// Operators that compute each row by itself and refuse no value, in whatever way: when all of a row's elements follow
  /// from one category, so does all that they make.
  private static let rowwise: Set<String> = [
    "ArgMax", "ArgMin", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceMean",
  ]

  /// Operators that only compare a number with constants, or ask what kind of number it is.
  private static let comparisons: Set<String> = [
    "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal", "IsNaN", "IsInf",
  ]

  private let node: GraphNode
  private let item: StepList.Item
  private let trace: RowTrace
  private var context: RewriteContext { trace.context }

  /// Nil when the step cannot be part of an encoder.
  init?(_ node: GraphNode, _ item: StepList.Item, _ trace: RowTrace) {
    self.node = node
    self.item = item
    self.trace = trace
    let found: [[RowElement]?]?
    switch (node.domain, node.opType) {
    case ("ai.onnx.ml", "LabelEncoder"), ("ai.onnx.ml", "CategoryMapper"): found = lookUp()
    case ("ai.onnx.ml", "OneHotEncoder"): found = encodeOneHot()
    case ("ai.martlet", "CategoryCode"): found = numberCategories()
    case ("", let type) where Movement.operators.contains(type): found = move()
    case ("ai.onnx.ml", "ArrayFeatureExtractor"): found = move()
    case ("", let type) where Self.elementwise.contains(type): found = compute()
    case ("", let type) where Self.rowwise.contains(type): found = computeRow()
    case ("ai.onnx.ml", "Scaler"), ("ai.onnx.ml", "Imputer"): found = compute()
    default: found = nil
    }
    guard let found else { return nil }
    outputs = found
  }

  private func input(_ index: Int) -> Int? {
    index < item.inputs.count && item.inputs[index] >= 0 ? Int(item.inputs[index]) : nil
  }

  private func constant(_ index: Int) -> ConstantTensor? { input(index).flatMap { context.run.constants[$0] } }

  /// The only output, when its rows have `width` elements.
  private func isOutput(_ width: Int) -> Bool {
    guard item.outputs.filter({ $0 >= 0 }).count == 1, item.outputs[0] >= 0 else { return false }
    return context.tail(Int(item.outputs[0]))?.reduce(1, *) == width
  }

  // MARK: Movement

  private func move() -> [[RowElement]?]? {
    guard let sources = context.movements.sources(item, context) else { return nil }
    var elements: [Int: [RowElement]] = [:]
    for index in Set(sources.compactMap { $0 }.joined().map(\.input)) {
      guard let own = trace.elements(Int(item.inputs[index])) else { return nil }
      elements[index] = own
    }
    return sources.map { $0.map { $0.map { elements[$0.input]![$0.element] } } }
  }

  // MARK: Lookups

  private func lookUp() -> [[RowElement]?]? {
    guard let slot = input(0), let elements = trace.elements(slot), isOutput(elements.count),
      let keys = Self.keys(node, context.type(slot))
    else { return nil }
    return coded(slot, elements, keys, kind: Self.isReal(context.type(slot)) ? .reals : .integers)
      .map { [$0] }
  }

  private func encodeOneHot() -> [[RowElement]?]? {
    guard let slot = input(0), let elements = trace.elements(slot) else { return nil }
    let keys: CodeKeys
    let count: Int
    switch (node.attributes["cats_strings"], node.attributes["cats_int64s"]) {
    case (.texts(let texts)?, _) where texts.count > 0: (keys, count) = (CodeKeys(texts: texts), texts.count)
    case (_, .integers(let integers)?): (keys, count) = (CodeKeys(integers: integers), integers.count)
    default: return nil
    }
    guard isOutput(elements.count * count) else { return nil }
    return coded(slot, elements, keys, kind: .integers).map {
      [$0.flatMap { Array(repeating: $0, count: count) }]
    }
  }

  private func numberCategories() -> [[RowElement]?]? {
    guard let slot = input(0), let elements = trace.elements(slot), isOutput(elements.count) else { return nil }
    var keys: CodeKeys
    // Missing values are told apart from those that are refused.
    switch node.attributes["categories"] {
    case .texts(let texts)? where context.type(slot) == .text:
      keys = CodeKeys(texts: texts)
      keys.add([UInt8]())
    case .integers(let integers)? where Self.isReal(context.type(slot)):
      keys = CodeKeys(reals: integers.map { Double($0) } + [.nan])
    default: return nil
    }
    return coded(slot, elements, keys, kind: .reals).map { [$0] }
  }

  /// Elements after a lookup by `keys`.
  private func coded(
    _ slot: Int, _ elements: [RowElement], _ keys: CodeKeys, kind: CodeSource.Kind
  ) -> [RowElement]? {
    let type = context.type(slot)
    let areNumbers = trace.areNumbers(slot)
    var result: [RowElement] = []
    for element in elements {
      if case .code(let source) = element {
        // What was looked up before is a number by now, or a text that may still be the caller's.
        if type == .text { trace.addKeys(keys, to: source) }
        result.append(element)
        continue
      }
      guard type != .text, areNumbers, Self.areExact(keys, kind, type),
        let source = trace.source(of: element, in: slot, kind)
      else {
        return nil
      }
      trace.addKeys(keys, to: source)
      result.append(.code(source))
    }
    return result
  }

  /// Whether an element of `type` can be each of the keys.
  private static func areExact(_ keys: CodeKeys, _ kind: CodeSource.Kind, _ type: ElementType) -> Bool {
    switch (kind, type) {
    case (.integers, .float32): keys.integers.allSatisfy { Int64(exactly: Float($0)) == $0 }
    case (.integers, .float64): keys.integers.allSatisfy { Int64(exactly: Double($0)) == $0 }
    case (.integers, .int32): keys.integers.allSatisfy { Int32(exactly: $0) != nil }
    case (.integers, .int64), (.reals, .float32), (.reals, .float64): true
    default: false
    }
  }

  private static func isReal(_ type: ElementType) -> Bool { type == .float32 || type == .float64 }

  /// The keys of a LabelEncoder or CategoryMapper that takes elements of `type`.
  private static func keys(_ node: GraphNode, _ type: ElementType) -> CodeKeys? {
    if node.opType == "CategoryMapper" {
      guard case .texts(let texts)? = node.attributes["cats_strings"] else { return nil }
      guard case .integers(let integers)? = node.attributes["cats_int64s"] else { return nil }
      return type == .text ? CodeKeys(texts: texts) : CodeKeys(integers: integers)
    }
    if node.opset < 2 {
      guard case .texts(let classes)? = node.attributes["classes_strings"] else { return nil }
      return type == .text ? CodeKeys(texts: classes) : CodeKeys(integers: (0..<Int64(classes.count)).map { $0 })
    }
    func reals(_ values: [Double]) -> CodeKeys {
      CodeKeys(reals: node.opset >= 4 ? values : values.filter { !$0.isNaN })
    }
    for name in ["keys_strings", "keys_int64s", "keys_floats", "keys_tensor"] {
      switch node.attributes[name] {
      case .texts(let texts)? where texts.count > 0 && type == .text: return CodeKeys(texts: texts)
      case .integers(let integers)? where !integers.isEmpty && type == .int64: return CodeKeys(integers: integers)
      case .floats(let floats)? where !floats.isEmpty && type == .float32: return reals(floats.map(Double.init))
      case .tensor(let tensor)? where tensor.count > 0 && tensor.type == type:
        switch type {
        case .text: return CodeKeys(texts: tensor)
        case .float32: return reals(tensor.array(of: Float.self).map(Double.init))
        case .float64: return reals(tensor.array(of: Double.self))
        case .int64, .int32: return tensor.integers.map { CodeKeys(integers: $0) }
        default: return nil
        }
      default: continue
      }
    }
    return nil
  }

  // MARK: Computation

  private func compute() -> [[RowElement]?]? {
    guard item.outputs.count == 1, item.outputs[0] >= 0, let tail = context.tail(Int(item.outputs[0])) else {
      return nil
    }
    let width = tail.reduce(1, *)
    var operands: [(elements: [RowElement], isSpread: Bool)] = []
    var numbers: [Int] = []
    var hasText = false
    for index in item.inputs.indices {
      guard let slot = input(index) else { continue }
      if let constant = constant(index) {
        guard Self.fits(constant.shape, tail) else { return nil }
        hasText = hasText || constant.type == .text
        continue
      }
      guard let elements = trace.elements(slot), let own = context.tail(slot), own.count == tail.count,
        own == tail || elements.count == 1
      else { return nil }
      hasText = hasText || context.type(slot) == .text
      operands.append((elements, elements.count == 1))
      numbers.append(index)
    }
    guard !operands.isEmpty else { return nil }
    let areNumbers = numbers.count == 1 && trace.areNumbers(Int(item.inputs[numbers[0]]))
    // Two texts of which neither is a constant may be equal without either being a key.
    if node.opType == "Equal", hasText, operands.count > 1 { return nil }
    let makesText = context.type(Int(item.outputs[0])) == .text
    // Texts are compared, chosen, or made of numbers that were looked up; nothing else reads their bytes.
    if hasText, !["Where", "Equal"].contains(node.opType) { return nil }
    if makesText, !["Where", "Cast"].contains(node.opType) { return nil }
    // Whole numbers that are divided may be refused.
    if node.opType == "Div", !Self.isReal(context.type(Int(item.inputs[0]))) { return nil }
    var result: [RowElement] = []
    for index in 0..<width {
      let own = operands.map { $0.elements[$0.isSpread ? 0 : index] }
      guard let element = element(own, at: index, inputs: numbers, tail, areNumbers: areNumbers) else { return nil }
      result.append(element)
    }
    return [result]
  }

  private func element(
    _ own: [RowElement], at index: Int, inputs: [Int], _ tail: [Int], areNumbers: Bool
  ) -> RowElement? {
    if case .code(let source) = own[0] {
      guard own.allSatisfy({ $0 == own[0] }) else { return nil }
      // A comparison with texts makes them keys.
      if node.opType == "Equal" {
        for input in item.inputs.indices {
          if let constant = constant(input), constant.type == .text {
            trace.addKeys(CodeKeys(texts: constant), to: source)
          }
        }
      }
      return own[0]
    }
    guard own.count == 1, case .number(let number) = own[0] else { return nil }
    if let bounds = bounds(trace.terms[number], at: index, input: inputs[0]) {
      guard areNumbers, let source = trace.source(of: own[0], in: Int(item.inputs[inputs[0]]), .intervals) else {
        return nil
      }
      trace.addKeys(CodeKeys(bounds: bounds), to: source)
      return .code(source)
    }
    return NumberRules(node, item, context).apply(trace.terms[number], at: index, input: inputs[0], tail: tail)
      .map { .number(trace.term($0)) }
  }

  /// The numbers that tell all results of the operator on an element apart; nil where no few numbers do.
  private func bounds(_ term: NumberTerm, at index: Int, input: Int) -> [Double]? {
    var value: Double?
    if item.inputs.count == 2, let constant = constant(1 - input) {
      let place = constant.count == 1 ? 0 : index
      switch constant.type {
      case .float32: value = Double(constant.pointer(as: Float.self)[place])
      case .float64: value = constant.pointer(as: Double.self)[place]
      default: return nil
      }
    }
    guard Self.isReal(term.type), Self.comparisons.contains(node.opType) else { return nil }
    return value.map { [$0] } ?? []
  }

  private func computeRow() -> [[RowElement]?]? {
    guard item.outputs.count == 1, item.outputs[0] >= 0, let tail = context.tail(Int(item.outputs[0])) else {
      return nil
    }
    var first: Int?
    var numbers: [NumberTerm] = []
    for slot in item.inputs where slot >= 0 && context.run.constants[Int(slot)] == nil {
      guard let elements = trace.elements(Int(slot)), context.type(Int(slot)) != .text else { return nil }
      for element in elements {
        switch element {
        case .number(let index): numbers.append(trace.terms[index])
        case .code(let source):
          guard first == nil || first == source else { return nil }
          first = source
        }
      }
    }
    guard let first, numbers.allSatisfy({ Self.isSettled($0, by: trace.sources[first]) }) else { return nil }
    return [Array(repeating: .code(first), count: tail.reduce(1, *))]
  }

  /// Whether a number follows from the interval that `source` is in: what is left of a number times zero is its sign,
  /// and whether it is finite. Exporters write a column of ones that way.
  private static func isSettled(_ term: NumberTerm, by source: CodeSource) -> Bool {
    let own = source.term
    guard source.kind == .intervals, term.slot == own.slot, term.element == own.element, term.source == own.source,
      term.type == own.type, term.stages.count > own.stages.count, term.stages.starts(with: own.stages)
    else { return false }
    let stage = term.stages[own.stages.count]
    guard stage.kind == .multiply else { return false }
    return term.type == .float32
      ? NumberStage.value(stage.a, as: Float.self) == 0 : NumberStage.value(stage.a, as: Double.self) == 0
  }

  /// Whether a constant of `shape` meets every row of `tail` alike, element by element or as one for all.
  static func fits(_ shape: Shape, _ tail: [Int]) -> Bool {
    if shape.elements == 1 { return shape.rank <= tail.count + 1 }
    var own = shape.dimensions
    if own.count == tail.count + 1 {
      guard own[0] == 1 else { return false }
      own.removeFirst()
    }
    guard own.count <= tail.count else { return false }
    return Array(repeating: 1, count: tail.count - own.count) + own == tail
  }
}
