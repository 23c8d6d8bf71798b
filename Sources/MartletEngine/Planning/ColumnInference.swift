import MartletCore

/// What the elements of a row mean: follows each from the inputs through the graph to the operators that decide
/// whether it may be missing and which categories are known.
///
/// A column may be missing when an operator with a rule for missing values consumes it, and none without one:
/// - `Imputer`, and `LabelEncoder` or `IsNaN` (a rule for NaN, or a default);
/// - a tree ensemble of a booster's own file, whose nodes all have a rule, and the input rules of a LightGBM model;
/// - a tree ensemble that was made with missing values in mind: any node sends them to its true branch, or all of its
///   nodes compare with BRANCH_LT, which XGBoost's export writes and no exporter without such a rule;
/// - for texts, where "missing" is the empty text: `LabelEncoder`, or a `OneHotEncoder` that maps what it does not know
///   to zeros.
/// Operators that move elements, and those that compute number by number with constants, pass the question on.
struct ColumnInference {
  /// What a value's element is made of: one element of an input, or something else.
  private struct Origin {
    /// Index of a column; -1 when the element comes from no single one.
    var column: Int32
    /// Whether a missing value would still be missing here.
    var mayBeMissing: Bool
    /// Whether the element is the column's value unchanged, so that categories here are the column's.
    var isUnchanged: Bool

    static let none = Origin(column: -1, mayBeMissing: false, isUnchanged: false)
  }

  private let run: PlanningRun
  private let inputs: [ModelSignature.Input]
  private var columns: [ModelSignature.Column] = []
  private var handled: [Bool] = []
  private var refused: [Bool] = []
  /// The elements of a row of each value that is made of columns.
  private var origins: [String: [Origin]] = [:]

  init(_ run: PlanningRun, _ inputs: [ModelSignature.Input]) {
    self.run = run
    self.inputs = inputs
    for (index, input) in inputs.enumerated() {
      let first = columns.count
      for offset in 0..<input.width {
        columns.append(
          ModelSignature.Column(name: input.name, input: index, offset: offset, type: input.type, missingAllowed: false)
        )
      }
      origins[input.name] = (0..<input.width).map {
        Origin(column: Int32(first + $0), mayBeMissing: true, isUnchanged: true)
      }
    }
    handled = Array(repeating: false, count: columns.count)
    refused = handled
    for index in run.order.nodes { follow(run.graph.nodes[index]) }
    for index in columns.indices { columns[index].missingAllowed = handled[index] && !refused[index] }
  }

  /// The columns with their names: `given` by the operator of the server, or else `found` in the file.
  ///
  /// Errors: given names that are not as many as the columns, or not all different.
  func columns(named given: [String]?, orInMetadata found: [String]?) throws(ModelError) -> [ModelSignature.Column] {
    var columns = columns
    // An input with one element a row has a name of its own.
    let wide = columns.indices.filter { inputs[columns[$0].input].width > 1 }
    if let given, given.count != columns.count, given.count != wide.count {
      throw ModelError(
        "\(given.count) feature names are given, expected \(columns.count)"
          + (wide.count == columns.count || wide.isEmpty ? "" : " or, for the wide inputs alone, \(wide.count)"))
    }
    let names = given ?? found ?? []
    let fitting = names.count == wide.count ? wide : names.count == columns.count ? Array(columns.indices) : []
    for (number, index) in wide.enumerated() { columns[index].name = "f\(number)" }
    for (number, index) in fitting.enumerated() { columns[index].name = names[number] }
    var seen: Set<String> = []
    for column in columns where !seen.insert(column.name).inserted {
      throw ModelError("two columns have the name '\(column.name)'")
    }
    return columns
  }

  private mutating func follow(_ node: GraphNode) {
    let known = node.inputs.map { origins[$0] }
    guard known.contains(where: { $0 != nil }) else { return }
    let output = node.outputs.first ?? ""
    let first = known.first ?? nil
    switch node.opType {
    case "Identity", "MissingValue": origins[output] = first
    case "Reshape", "Flatten", "Squeeze", "Unsqueeze":
      if let first, rowWidth(output) == first.count { origins[output] = first } else { refuse(first) }
    case "Cast":
      if let first { origins[output] = cast(first, node) }
    case "Concat":
      let parts = zip(node.inputs, known).map { (name, origin) in
        origin ?? Array(repeating: .none, count: rowWidth(name) ?? 0)
      }
      let whole = Array(parts.joined())
      if rowWidth(output) == whole.count, isMatrix(output) { origins[output] = whole } else { refuse(whole) }
    case "ArrayFeatureExtractor", "Gather": pick(node, first)
    case "Split": split(node, first)
    case "Scaler", "Add", "Sub", "Mul", "Div", "Clip", "Neg", "Abs", "Sqrt", "Log", "Exp", "Pow": compute(node, known)
    case "Imputer":
      handle(first)
      if let first { origins[output] = first.map { Origin(column: $0.column, mayBeMissing: false, isUnchanged: true) } }
    case "LabelEncoder": encode(node, first)
    case "CategoryCode":
      handle(first)
      if let first {
        switch node.attributes["categories"] {
        case .texts(let texts)?: setCategories(.text(texts.strings), first, replaces: true)
        case .integers(let integers)?: setCategories(.integer(integers), first, replaces: true)
        default: break
        }
      }
    case "OneHotEncoder": encodeOneHot(node, first)
    case "IsNaN": handle(first)
    case "LightGBMInput": readForLightGBM(node, known)
    case "Where", "Shape", "Equal": mixed(node, known)
    case "XGBoostLinear": handle(first)
    case "TreeEnsembleClassifier", "TreeEnsembleRegressor", "TreeEnsemble":
      if Self.hasRuleForMissing(node) { handle(first) } else { refuse(first) }
    default:
      for origins in known { refuse(origins) }
    }
  }

  /// Elements a row of `value` in the trial run; nil when its first dimension is not the rows.
  private func rowWidth(_ value: String) -> Int? {
    let shape = run.tensor(value).shape
    let rows = run.tensor(inputs[0].name).shape[0]
    return shape.rank > 0 && shape[0] == rows ? shape.elements / rows : nil
  }

  private func isMatrix(_ value: String) -> Bool { run.tensor(value).rank == 2 }

  private mutating func handle(_ origins: [Origin]?) {
    for origin in origins ?? [] where origin.column >= 0 && origin.mayBeMissing { handled[Int(origin.column)] = true }
  }

  private mutating func refuse(_ origins: [Origin]?) {
    for origin in origins ?? [] where origin.column >= 0 && origin.mayBeMissing { refused[Int(origin.column)] = true }
  }

  private mutating func cast(_ origins: [Origin], _ node: GraphNode) -> [Origin] {
    let from = run.tensor(node.inputs[0]).type
    let to = run.tensor(node.outputs[0]).type
    func isFloat(_ type: ElementType) -> Bool { type == .float32 || type == .float64 }
    if isFloat(from), isFloat(to) || to == .text { return origins }
    // No number but a float can say that it is missing.
    if isFloat(from) { refuse(origins) }
    return origins.map { Origin(column: $0.column, mayBeMissing: from == .text && to == .text, isUnchanged: true) }
  }

  private mutating func pick(_ node: GraphNode, _ first: [Origin]?) {
    guard let first, node.inputs.count == 2, isMatrix(node.inputs[0]),
      let indices = run.constant(node.inputs[1])?.integers,
      node.opType == "ArrayFeatureExtractor" || [1, -1].contains((try? node.integer("axis", default: 0)) ?? 0),
      indices.allSatisfy({ $0 >= -Int64(first.count) && $0 < Int64(first.count) })
    else { return refuse(first) }
    origins[node.outputs[0]] = indices.map { first[Int($0 < 0 ? $0 + Int64(first.count) : $0)] }
  }

  private mutating func split(_ node: GraphNode, _ first: [Origin]?) {
    guard let first, isMatrix(node.inputs[0]), [1, -1].contains((try? node.integer("axis", default: 0)) ?? 0) else {
      return refuse(first)
    }
    var start = 0
    for output in node.outputs {
      // An output that nobody reads has no shape; the parts behind it are not followed.
      guard let width = rowWidth(output), start + width <= first.count else { return refuse(first) }
      origins[output] = Array(first[start..<(start + width)])
      start += width
    }
  }

  /// Numbers computed from one number each: missing values stay missing.
  private mutating func compute(_ node: GraphNode, _ known: [[Origin]?]) {
    let made = known.compactMap { $0 }
    guard made.count == 1, let origin = made.first, rowWidth(node.outputs[0]) == origin.count,
      zip(node.inputs, known).allSatisfy({ $0.1 != nil || $0.0.isEmpty || run.constant($0.0) != nil })
    else {
      for origins in made { refuse(origins) }
      return
    }
    origins[node.outputs[0]] = origin.map {
      Origin(column: $0.column, mayBeMissing: $0.mayBeMissing, isUnchanged: false)
    }
  }

  /// A choice between a column and something else, as exporters write imputation by hand.
  private mutating func mixed(_ node: GraphNode, _ known: [[Origin]?]) {
    guard node.opType == "Where" else { return }
    for origin in known.compactMap({ $0 }) where rowWidth(node.outputs[0]) == origin.count {
      // A text that is not replaced is still the caller's; a number may have been computed on the way.
      let isText = run.tensor(node.outputs[0]).type == .text
      origins[node.outputs[0]] = origin.map {
        Origin(column: $0.column, mayBeMissing: false, isUnchanged: isText && $0.isUnchanged)
      }
    }
  }

  private mutating func encode(_ node: GraphNode, _ first: [Origin]?) {
    guard let first else { return }
    handle(first)
    let isText = run.tensor(node.outputs[0]).type == .text
    // A single key is how exporters test whether a text is missing. What a one-hot encoder knows is closer to what the
    // model was trained on than what is replaced on the way to it.
    if let keys = Self.keys(node), keys.count > 1 { setCategories(keys, first, replaces: false) }
    if isText {
      origins[node.outputs[0]] = first.map { Origin(column: $0.column, mayBeMissing: false, isUnchanged: true) }
    }
  }

  private mutating func encodeOneHot(_ node: GraphNode, _ first: [Origin]?) {
    guard let first else { return }
    let isText = run.tensor(node.inputs[0]).type == .text
    if isText, (try? node.integer("zeros", default: 1)) == 1 { handle(first) } else { refuse(first) }
    switch (node.attributes["cats_strings"], node.attributes["cats_int64s"]) {
    case (.texts(let texts)?, _) where texts.count > 0: setCategories(.text(texts.strings), first, replaces: true)
    case (_, .integers(let integers)?): setCategories(.integer(integers), first, replaces: true)
    default: break
    }
  }

  /// A LightGBM model's rules for missing values and unknown categories know every value.
  private mutating func readForLightGBM(_ node: GraphNode, _ known: [[Origin]?]) {
    for (input, origins) in known.enumerated() {
      handle(origins)
      if let origins, case .texts(let texts)? = node.attributes["texts_\(input)"] {
        setCategories(.text(texts.strings), origins, replaces: true)
      }
    }
    guard let numbers = known.first ?? nil, case .integers(let features)? = node.attributes["number_features"],
      case .integers(let sources)? = node.attributes["sources"]
    else { return }
    for (index, feature) in features.enumerated() {
      guard case .tensor(let tensor)? = node.attributes["numbers_\(index)"] else { continue }
      let integers = tensor.array(of: Double.self).compactMap { Int64(exactly: $0) }
      let column = Int(sources[Int(feature)])
      if integers.count == tensor.count, numbers.indices.contains(column) {
        setCategories(.integer(integers), [numbers[column]], replaces: true)
      }
    }
  }

  private mutating func setCategories(_ labels: ClassLabels, _ origins: [Origin], replaces: Bool) {
    for origin in origins where origin.column >= 0 && origin.isUnchanged {
      let index = Int(origin.column)
      if !replaces, columns[index].categories != nil { continue }
      switch (labels, columns[index].type) {
      case (.text, .text), (.integer, .int64), (.integer, .int32), (.integer, .float32), (.integer, .float64):
        columns[index].categories = labels
      default: break
      }
    }
  }

  private static func keys(_ node: GraphNode) -> ClassLabels? {
    // The first version of the operator numbers its texts.
    switch (node.attributes["keys_strings"] ?? node.attributes["classes_strings"], node.attributes["keys_int64s"]) {
    case (.texts(let texts)?, _): return .text(texts.strings)
    case (_, .integers(let integers)?): return .integer(integers)
    default: break
    }
    guard case .tensor(let keys)? = node.attributes["keys_tensor"] else { return nil }
    return keys.type == .text ? .text(keys.strings) : keys.integers.map { .integer($0) }
  }

  private static func hasRuleForMissing(_ node: GraphNode) -> Bool {
    if node.domain == "ai.martlet" { return true }
    if let flags = try? node.packedIntegers("nodes_missing_value_tracks_true"),
      (0..<flags.count).contains(where: { flags[$0] == 1 })
    {
      return true
    }
    // BRANCH_LT is 1 where modes are numbers.
    if case .tensor(let modes)? = node.attributes["nodes_modes"] {
      return modes.count > 0 && (modes.integers ?? []).allSatisfy { $0 == 1 }
    }
    guard case .texts(let modes)? = node.attributes["nodes_modes"] else { return false }
    let names = UnsafeBufferPointer(start: modes.pointer(as: TextRef.self), count: modes.count)
    // The first other one ends it: to make a string of each would take long for a forest.
    var isEmpty = true
    for name in names {
      let mode = name.string
      if mode == "LEAF" { continue }
      guard mode == "BRANCH_LT" else { return false }
      isEmpty = false
    }
    return !isEmpty
  }
}
