import MartletCore
import MartletEngine

/// The graph of operators that predicts what a model of XGBoost's predicts.
///
/// All features are one input in single precision, into which XGBoost converts its rows as well. Where the file knows
/// the categories of features, each such feature is an input of its own, of texts or numbers, behind the others.
enum XGBoostGraph {
  /// The most features, as wide as one input may be.
  static let maximumFeatures = 1 << 16

  /// The most features with categories of their own, each of which is an input.
  static let maximumCodedFeatures = 4096

  /// The most classes, targets or quantiles.
  static let maximumOutputs = 1 << 16

  private static let domain = "ai.martlet"

  static func graph(_ model: XGBoostModel) throws(ModelError) -> Graph {
    var graph = Graph(inputs: [], outputs: [], nodes: [], opsets: [domain: 1])
    let features = inputs(model, &graph)
    try booster(model, features, &graph)
    output(model, &graph)
    for (key, value) in model.attributes where !["scikit_learn", FeatureNames.key].contains(key) {
      graph.metadata[key] = value
    }
    graph.producer =
      model.version.isEmpty ? "xgboost" : "xgboost " + model.version.map { String($0) }.joined(separator: ".")
    return graph
  }

  // MARK: Inputs

  /// Adds the inputs, and what brings them together; returns the value that holds all features in their order.
  private static func inputs(_ model: XGBoostModel, _ graph: inout Graph) -> String {
    let names =
      model.featureNames.isEmpty ? (0..<model.features).map { "f\($0)" } : model.featureNames
    let coded = model.categories.indices.filter { !model.categories[$0].isEmpty }
    let plain = (0..<model.features).filter { !coded.contains($0) }
    // An input with one element a row is called as its feature is.
    var wide = plain.count == 1 ? names[plain[0]] : "features"
    while coded.contains(where: { names[$0] == wide }) { wide += "_" }
    if !plain.isEmpty {
      graph.inputs.append(Graph.Value(name: wide, type: .float32, shape: [nil, plain.count]))
      if plain.count > 1, !model.featureNames.isEmpty {
        graph.metadata[FeatureNames.key] = FeatureNames.list(plain.map { names[$0] })
      }
    }
    guard !coded.isEmpty else { return wide }
    var parts = plain.isEmpty ? [] : [wide]
    for index in coded {
      let value = "\(domain):code \(index)"
      var attributes: [String: AttributeValue] = ["column": .text(names[index])]
      var type = ElementType.text
      switch model.categories[index] {
      case .none: continue
      case .texts(let texts): attributes["categories"] = .texts(ConstantTensor(strings: texts))
      case .integers(let integers):
        attributes["categories"] = .integers(integers)
        type = integers.allSatisfy { Int64(exactly: Float($0)) == $0 } ? .float32 : .float64
      }
      graph.inputs.append(Graph.Value(name: names[index], type: type, shape: [nil, 1]))
      graph.nodes.append(
        GraphNode(
          opType: "CategoryCode", domain: domain, opset: 1, inputs: [names[index]], outputs: [value],
          attributes: attributes))
      parts.append(value)
    }
    graph.opsets[""] = 13
    graph.opsets["ai.onnx.ml"] = 1
    let joined = "\(domain):features as they come"
    graph.nodes.append(
      GraphNode(opType: "Concat", opset: 13, inputs: parts, outputs: [joined], attributes: ["axis": .integer(1)]))
    let order = plain + coded
    guard order != Array(0..<model.features) else { return joined }
    var place = [Int64](repeating: 0, count: order.count)
    for (position, feature) in order.enumerated() { place[feature] = Int64(position) }
    let ordered = "\(domain):features"
    graph.initializers["\(domain):order"] = ConstantTensor(.int64, Shape(place.count), place)
    graph.nodes.append(
      GraphNode(
        opType: "ArrayFeatureExtractor", domain: "ai.onnx.ml", opset: 1, inputs: [joined, "\(domain):order"],
        outputs: [ordered]))
    return ordered
  }

  // MARK: Booster and objective

  private static var margin: String { "\(domain):margin" }
  private static var leaf: String { "\(domain):leaf" }

  private static func booster(
    _ model: XGBoostModel, _ features: String, _ graph: inout Graph
  ) throws(ModelError) {
    var margins: [Double] = []
    for score in model.baseScores {
      guard let margin = model.objective.margin(ofBaseScore: score) else {
        throw ModelError(
          "XGBoost file, learner.learner_model_param.base_score: is \(score), which \(model.objective.rawValue) does "
            + "not allow")
      }
      margins.append(Double(margin))
    }
    guard var trees = model.trees else {
      graph.nodes.append(
        GraphNode(
          opType: "XGBoostLinear", domain: domain, opset: 1, inputs: [features], outputs: [margin],
          attributes: [
            "weights": .tensor(ConstantTensor(.float32, Shape(model.features + 1, model.outputs), model.weights)),
            // The library takes the first for all outputs.
            "base_score": .float(Float(margins[0])),
          ]))
      return
    }
    trees.startsAt = margins
    graph.nodes.append(
      GraphNode(
        opType: "TreeEnsemble", domain: domain, opset: 1, inputs: [features], outputs: [margin, leaf],
        attributes: ["ensemble": .ensemble(trees)]))
  }

  private static func output(_ model: XGBoostModel, _ graph: inout Graph) {
    let isClassifier = model.objective.isClassifier(outputs: model.outputs)
    let (values, label) = ("\(domain):values", "\(domain):label")
    graph.nodes.append(
      GraphNode(
        opType: "XGBoostOutput", domain: domain, opset: 1, inputs: [margin],
        outputs: isClassifier ? [values, label] : [values],
        attributes: ["objective": .text(model.objective.rawValue)]))
    func add(_ name: String, _ type: ElementType, _ source: String, _ role: OutputRole, _ classes: ClassLabels? = nil) {
      graph.outputs.append(
        Graph.Value(name: name, type: type, shape: nil, source: source, role: role, classes: classes))
    }
    if isClassifier {
      let classes = ClassLabels.integer(Array(0..<Int64(max(2, model.outputs))))
      add("label", .int64, label, .label, classes)
      if model.objective != .binaryHinge { add("probabilities", .float32, values, .probability, classes) }
    } else {
      add("value", .float32, values, .value)
    }
    graph.furtherOutputs.append(
      Graph.Value(name: "margin", type: .float32, shape: nil, source: margin, role: .other))
    if model.trees != nil {
      graph.furtherOutputs.append(Graph.Value(name: "leaf", type: .int64, shape: nil, source: leaf, role: .other))
    }
  }
}
