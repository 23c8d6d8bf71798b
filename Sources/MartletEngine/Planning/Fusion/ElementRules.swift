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
    case ("", let type) where Movement.operators.contains(type): found = move()
    case ("ai.onnx.ml", "ArrayFeatureExtractor"): found = move()
    case ("", let type) where Self.elementwise.contains(type): found = compute()
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
    guard let sources = Movement.sources(item, context) else { return nil }
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
    return coded(elements, keys, context.type(slot), kind: Self.isReal(context.type(slot)) ? .reals : .integers)
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
    return coded(elements, keys, context.type(slot), kind: .integers).map {
      [$0.flatMap { Array(repeating: $0, count: count) }]
    }
  }

  /// Elements after a lookup by `keys`.
  private func coded(
    _ elements: [RowElement], _ keys: CodeKeys, _ type: ElementType, kind: CodeSource.Kind
  ) -> [RowElement]? {
    var result: [RowElement] = []
    for element in elements {
      if case .code(let source) = element {
        // What was looked up before is a number by now, or a text that may still be the caller's.
        if type == .text { trace.addKeys(keys, to: source) }
        result.append(element)
        continue
      }
      guard type != .text, Self.areExact(keys, kind, type), let source = trace.source(of: element, kind) else {
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
      guard let element = element(own, at: index, inputs: numbers, tail: tail) else { return nil }
      result.append(element)
    }
    return [result]
  }

  private func element(_ own: [RowElement], at index: Int, inputs: [Int], tail: [Int]) -> RowElement? {
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
    return NumberRules(node, item, context).apply(trace.terms[number], at: index, input: inputs[0], tail: tail)
      .map { .number(trace.term($0)) }
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
