import MartletCore

/// Operators that an encoder computes with numbers: what they add to the operations on an element.
struct NumberRules {
  private let node: GraphNode
  private let item: StepList.Item
  private let context: RewriteContext

  init(_ node: GraphNode, _ item: StepList.Item, _ context: RewriteContext) {
    self.node = node
    self.item = item
    self.context = context
  }

  /// The term after the operator, whose input `input` it is and of whose result it becomes element `index`.
  func apply(_ term: NumberTerm, at index: Int, input: Int, tail: [Int]) -> NumberTerm? {
    switch node.opType {
    case "Cast": return cast(term)
    case "Scaler": return scale(term, feature: index % max(1, tail.last ?? 1))
    case "Imputer": return impute(term, feature: index % max(1, tail.last ?? 1))
    default: break
    }
    switch term.type {
    case .float32: return compute(term, at: index, input: input, as: Float.self)
    case .float64: return compute(term, at: index, input: input, as: Double.self)
    default: return nil
    }
  }

  private func cast(_ term: NumberTerm) -> NumberTerm? {
    let type = context.type(Int(item.outputs[0]))
    if type == term.type { return term }
    // Read in the precision of the result; after an operation, or after another conversion, that is not the same.
    guard term.isUnchanged, type == .float32 || type == .float64 else { return nil }
    var term = term
    term.type = type
    return term
  }

  private func floats(_ name: String) -> [Float]? {
    if case .floats(let values)? = node.attributes[name] { return values }
    return nil
  }

  private func scale(_ term: NumberTerm, feature: Int) -> NumberTerm? {
    var term = term
    switch term.type {
    case .float32: break
    case .int64, .int32: term.type = .float32
    default: return nil
    }
    let offset = floats("offset") ?? [0]
    let scale = floats("scale") ?? [1]
    guard offset.count == 1 || feature < offset.count, scale.count == 1 || feature < scale.count else { return nil }
    return term.appending(
      .scale, offset[offset.count == 1 ? 0 : feature], scale[scale.count == 1 ? 0 : feature])
  }

  private func impute(_ term: NumberTerm, feature: Int) -> NumberTerm? {
    guard term.type == .float32, let values = floats("imputed_value_floats") else { return nil }
    guard values.count == 1 || feature < values.count else { return nil }
    var replaced: Float = 0
    if case .float(let value)? = node.attributes["replaced_value_float"] { replaced = value }
    let value = values[values.count == 1 ? 0 : feature]
    return replaced.isNaN ? term.appending(.replaceMissing, value) : term.appending(.replaceEqual, value, replaced)
  }

  private func compute<T: FloatElement & BitwiseCopyable>(
    _ term: NumberTerm, at index: Int, input: Int, as _: T.Type
  ) -> NumberTerm? {
    if node.opType == "Clip" { return clip(term, as: T.self) }
    // The exponent of a power may be of another type.
    guard item.inputs.count == 2, let constant = context.run.constants[Int(item.inputs[1 - input])],
      constant.type == term.type
    else { return nil }
    let value = constant.pointer(as: T.self)[constant.count == 1 ? 0 : index]
    switch (node.opType, input) {
    case ("Add", _): return term.appending(.add, value)
    case ("Sub", 0): return term.appending(.subtract, value)
    case ("Sub", _): return term.appending(.subtractFrom, value)
    case ("Mul", _): return term.appending(.multiply, value)
    case ("Div", 0): return term.appending(.divide, value)
    case ("Div", _): return term.appending(.divideInto, value)
    default: return nil
    }
  }

  private func clip<T: FloatElement & BitwiseCopyable>(_ term: NumberTerm, as _: T.Type) -> NumberTerm? {
    func bound(_ index: Int, _ name: String, _ fallback: T) -> T? {
      if node.opset < 11 {
        guard case .float(let value)? = node.attributes[name] else { return fallback }
        return T(value)
      }
      guard index < item.inputs.count, item.inputs[index] >= 0 else { return fallback }
      guard let constant = context.run.constants[Int(item.inputs[index])], constant.count == 1 else { return nil }
      return constant.pointer(as: T.self)[0]
    }
    guard let low = bound(1, "min", T.lowest), let high = bound(2, "max", T.greatest) else { return nil }
    return term.appending(.clip, low, high)
  }
}
