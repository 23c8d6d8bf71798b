import MartletCore
import MartletEngine

/// The operators that a model becomes: its input rules, trees, linear leaves where it has such, and the objective.
struct LightGBMGraph {
  private static let domain = "ai.martlet"

  /// Names of values inside of the graph. No feature has one of them: names of features have no spaces.
  private enum Value {
    static let readings = "feature readings"
    static let numbers = "feature numbers"
    static let leaves = "tree leaves"
    static let margins = "tree margins"
    static let label = "objective label"
    static let values = "objective values"
  }

  private let model: LightGBMModel
  /// Categories of the features that pandas had as categories; nil for others.
  private let categories: [PandasCategories?]

  init(_ model: LightGBMModel) {
    self.model = model
    categories = Self.assign(model)
  }

  /// Which feature each list of categories belongs to.
  ///
  /// The file does not say. With as many lists as categorical features they go in order. A table may also have had
  /// ordered categories, which are trained on as numbers, or plain numbers that were named as categorical; then columns
  /// take codes, as the file's trees do.
  private static func assign(_ model: LightGBMModel) -> [PandasCategories?] {
    var categories = [PandasCategories?](repeating: nil, count: model.features)
    guard model.pandasCategories.count == model.categoricalFeatures.count else { return categories }
    for (list, feature) in zip(model.pandasCategories, model.categoricalFeatures) { categories[feature] = list }
    return categories
  }

  func graph() -> Graph {
    var graph = Graph(inputs: [], outputs: [], nodes: [], opsets: [Self.domain: 1], producer: "LightGBM")
    graph.metadata["format_version"] = model.version
    addInput(to: &graph)
    addTrees(to: &graph)
    addObjective(to: &graph)
    graph.furtherOutputs = [
      .init(name: "margin", type: .float64, shape: nil, source: Value.margins, role: .other),
      .init(name: "leaf", type: .int64, shape: nil, source: Value.leaves, role: .other),
    ]
    return graph
  }

  // MARK: Input

  /// Numbers come as one matrix, each text as a column of its own.
  private func addInput(to graph: inout Graph) {
    var node = GraphNode(
      opType: "LightGBMInput", domain: Self.domain, opset: 1, inputs: [], outputs: [Value.readings])
    var sources: [Int64] = []
    var numberNames: [String] = []
    var texts: [(name: String, categories: [String])] = []
    var numberFeatures: [Int64] = []
    for (feature, name) in model.featureNames.enumerated() {
      switch categories[feature] {
      case .texts(let known)?:
        texts.append((name, known))
        sources.append(-Int64(texts.count))
      case .numbers(let known)?:
        node.attributes["numbers_\(numberFeatures.count)"] = .tensor(
          ConstantTensor(.float64, Shape(known.count), known))
        numberFeatures.append(Int64(feature))
        fallthrough
      case nil:
        sources.append(Int64(numberNames.count))
        numberNames.append(name)
      }
    }
    if numberNames.isEmpty {
      node.inputs.append("")
    } else {
      var input = numberNames.count == 1 ? numberNames[0] : "features"
      while texts.contains(where: { $0.name == input }) { input += "_" }
      graph.inputs.append(.init(name: input, type: .float64, shape: [nil, numberNames.count]))
      graph.metadata[FeatureNames.key] = FeatureNames.list(numberNames)
      node.inputs.append(input)
    }
    for (index, text) in texts.enumerated() {
      graph.inputs.append(.init(name: text.name, type: .text, shape: [nil]))
      node.inputs.append(text.name)
      node.attributes["texts_\(index + 1)"] = .texts(ConstantTensor(strings: text.categories))
    }
    node.attributes["sources"] = .integers(sources)
    node.attributes["features"] = .integers(model.trees.readings.map { Int64($0.feature) })
    node.attributes["modes"] = .integers(model.trees.readings.map { Int64($0.mode.rawValue) })
    if !numberFeatures.isEmpty { node.attributes["number_features"] = .integers(numberFeatures) }
    if model.trees.linear.isPresent { node.outputs.append(Value.numbers) }
    graph.nodes.append(node)
  }

  // MARK: Trees

  private func addTrees(to graph: inout Graph) {
    let linear = model.trees.linear
    graph.nodes.append(
      GraphNode(
        opType: "TreeEnsemble", domain: Self.domain, opset: 1, inputs: [Value.readings],
        outputs: [linear.isPresent ? "" : Value.margins, Value.leaves],
        attributes: ["ensemble": .ensemble(model.trees.ensemble)]))
    guard linear.isPresent else { return }
    func doubles(_ values: [Double]) -> AttributeValue {
      .tensor(ConstantTensor(.float64, Shape(values.count), values))
    }
    func integers(_ values: [Int32]) -> AttributeValue { .tensor(ConstantTensor(.int32, Shape(values.count), values)) }
    graph.nodes.append(
      GraphNode(
        opType: "LightGBMLinearLeaves", domain: Self.domain, opset: 1, inputs: [Value.numbers, Value.leaves],
        outputs: [Value.margins],
        attributes: [
          "first_leaf": integers(linear.firstLeaf), "constants": doubles(linear.constants),
          "values": doubles(linear.values), "first_coefficient": integers(linear.firstCoefficient),
          "coefficients": doubles(linear.coefficients), "coefficient_features": integers(linear.features),
          "outputs": .integer(Int64(model.outputs)),
        ]))
  }

  // MARK: Objective

  private func addObjective(to graph: inout Graph) {
    let isClassifier = model.objective.isClassifier
    var node = GraphNode(
      opType: isClassifier ? "LightGBMClassifier" : "LightGBMRegressor", domain: Self.domain, opset: 1,
      inputs: [Value.margins], outputs: isClassifier ? [Value.label, Value.values] : [Value.values])
    var sigmoid: Double?
    let name: String
    switch model.objective {
    case .none, .regression: name = "identity"
    case .squared: name = "squared"
    case .exponential: name = "exponential"
    case .logarithm: name = "logarithm"
    case .softmax: name = "softmax"
    case .sigmoid(let slope), .binary(let slope), .oneVersusAll(let slope):
      name = "sigmoid"
      sigmoid = slope
    }
    node.attributes["objective"] = .text(name)
    if let sigmoid { node.attributes["sigmoid"] = .tensor(ConstantTensor(.float64, Shape(1), [sigmoid])) }
    if model.averagesOutput {
      node.attributes["iterations"] = .integer(Int64(model.trees.ensemble.roots.count / model.outputs))
    }
    let labels = Array(0..<Int64(max(2, model.outputs)))
    if isClassifier { node.attributes["classlabels_int64s"] = .integers(labels) }
    graph.nodes.append(node)
    guard isClassifier else {
      graph.outputs = [.init(name: "value", type: .float64, shape: nil, source: Value.values, role: .value)]
      return
    }
    graph.outputs = [
      .init(name: "label", type: .int64, shape: nil, source: Value.label, role: .label, classes: .integer(labels)),
      .init(
        name: "probabilities", type: .float64, shape: nil, source: Value.values, role: .probability,
        classes: .integer(labels)),
    ]
  }
}
