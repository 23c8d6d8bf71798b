import MartletCore

/// What the outputs of a graph mean, told from the operators that make them and from their names.
///
/// A label comes from a classifier operator's first output, or from constant labels picked by an ArgMax; its labels are
/// the classes. A probability is a classifier operator's second output, a ZipMap, or called so by the exporters'
/// names, and takes the classes of the label where their number is its width. The one number of a graph without a
/// label is its value.
struct OutputInference {
  private let run: PlanningRun

  init(_ run: PlanningRun) { self.run = run }

  private static let labelNames: Set<String> = ["label", "output_label"]
  private static let probabilityNames: Set<String> = ["probabilities", "output_probability", "probability"]
  private static let classifiers: Set<String> = ["TreeEnsembleClassifier", "LinearClassifier", "SVMClassifier"]
  private static let regressors: Set<String> = [
    "TreeEnsembleRegressor", "LinearRegressor", "SVMRegressor", "TreeEnsemble",
  ]

  func output(_ binding: OutputBinding, type: ElementType, shape: [Int]) -> ModelSignature.Output {
    let source = source(of: binding.value)
    var output = ModelSignature.Output(name: binding.name, type: type, shape: shape, role: .other)
    let isLabelType = type == .text || type == .int64 || type == .int32
    let isFloat = type == .float32 || type == .float64
    let declared = run.graph.outputs[binding.index]
    if let role = declared.role {
      output.role = role
      output.classes = declared.classes
    } else if isLabelType, Self.labelNames.contains(binding.name) || classes(of: binding.value) != nil {
      output.role = .label
      output.classes = classes(of: binding.value).flatMap { Self.classes($0, as: type) }
    } else if isFloat, source.node?.opType == "ZipMap" {
      output.role = .probability
      output.classes = source.node.flatMap(Self.labels)
    } else if isFloat, Self.probabilityNames.contains(binding.name) || isScores(source) {
      output.role = .probability
    } else if isFloat, Self.regressors.contains(source.node?.opType ?? "") {
      output.role = .value
    }
    return output
  }

  /// What only all outputs together tell.
  func completed(_ outputs: [ModelSignature.Output]) -> [ModelSignature.Output] {
    var outputs = outputs
    let labels = outputs.filter { $0.role == .label }
    for index in outputs.indices where outputs[index].role == .probability {
      // Classes of several labels at once would be those of none.
      if outputs[index].classes == nil, labels.count == 1, labels[0].width == 1 {
        outputs[index].classes = labels[0].classes
      }
      if let classes = outputs[index].classes, classes.count != outputs[index].width { outputs[index].classes = nil }
    }
    for index in outputs.indices where outputs[index].role == .label {
      let fits = outputs.contains { $0.role == .probability && $0.classes == outputs[index].classes }
      if outputs[index].width != 1, !fits { outputs[index].classes = nil }
    }
    let isFloat = outputs[0].type == .float32 || outputs[0].type == .float64
    if labels.isEmpty, outputs.count == 1, outputs[0].role == .other, isFloat { outputs[0].role = .value }
    return outputs
  }

  /// The node behind operators that only pass values on, and which of its outputs they pass.
  private func source(of value: String) -> (node: GraphNode?, output: Int) {
    var value = value
    while let node = run.producer(of: value) {
      switch node.opType {
      case "Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten": value = node.inputs[0]
      default: return (node, node.outputs.firstIndex(of: value) ?? 0)
      }
    }
    return (nil, 0)
  }

  private func isScores(_ source: (node: GraphNode?, output: Int)) -> Bool {
    guard let node = source.node else { return false }
    if node.opType == "Normalizer" { return isScores(self.source(of: node.inputs[0])) }
    return Self.classifiers.contains(node.opType) && source.output == 1
  }

  /// The labels that a label's values are among, in the order of the classes.
  private func classes(of value: String) -> ClassLabels? {
    let (node, output) = source(of: value)
    guard let node, output == 0 else { return nil }
    switch node.opType {
    case "TreeEnsembleClassifier", "LinearClassifier", "SVMClassifier": return Self.labels(node)
    case "ArrayFeatureExtractor", "Gather":
      guard isArgMax(node.inputs[1]) else { return nil }
      return run.constant(node.inputs[0]).flatMap(Self.labels)
    case "LabelEncoder":
      guard isArgMax(node.inputs[0]) else { return nil }
      return Self.encoded(node)
    case "ArgMax":
      let scores = run.tensor(node.inputs[0]).shape
      return .integer(Array(0..<Int64(scores.last)))
    default: return nil
    }
  }

  private func isArgMax(_ value: String) -> Bool {
    guard let node = source(of: value).node else { return false }
    // A binary decision by threshold gives an index as well.
    return ["ArgMax", "TopK", "Binarizer", "Greater", "GreaterOrEqual"].contains(node.opType)
  }

  /// The labels of a classifier or ZipMap.
  private static func labels(_ node: GraphNode) -> ClassLabels? {
    for name in ["classlabels_strings", "classlabels_int64s", "classlabels_ints"] {
      switch node.attributes[name] {
      case .texts(let texts) where texts.count > 0: return .text(texts.strings)
      case .integers(let integers) where !integers.isEmpty: return .integer(integers)
      default: continue
      }
    }
    return nil
  }

  private static func labels(_ tensor: ConstantTensor) -> ClassLabels? {
    switch tensor.type {
    case .text: return .text(tensor.strings)
    case .float32:
      let values = tensor.array(of: Float.self).map { Int64(exactly: $0) }
      return values.contains(nil) ? nil : .integer(values.compactMap { $0 })
    case .float64:
      let values = tensor.array(of: Double.self).map { Int64(exactly: $0) }
      return values.contains(nil) ? nil : .integer(values.compactMap { $0 })
    default: return tensor.integers.map { .integer($0) }
    }
  }

  /// The values of a LabelEncoder whose keys are the numbers of the classes.
  private static func encoded(_ node: GraphNode) -> ClassLabels? {
    guard case .integers(let keys)? = node.attributes["keys_int64s"] else { return nil }
    let order = keys.indices.sorted { keys[$0] < keys[$1] }
    guard order.enumerated().allSatisfy({ keys[$0.element] == Int64($0.offset) }) else { return nil }
    switch (node.attributes["values_strings"], node.attributes["values_int64s"]) {
    case (.texts(let texts)?, _) where texts.count == keys.count:
      let strings = texts.strings
      return .text(order.map { strings[$0] })
    case (_, .integers(let integers)?) where integers.count == keys.count:
      return .integer(order.map { integers[$0] })
    default: return nil
    }
  }

  /// `labels` as an output of `type` shows them, which may have been cast.
  private static func classes(_ labels: ClassLabels, as type: ElementType) -> ClassLabels? {
    switch (labels, type) {
    case (.text(let texts), .int64), (.text(let texts), .int32):
      let integers = texts.map { Int64($0) }
      return integers.contains(nil) ? nil : .integer(integers.compactMap { $0 })
    case (.integer(let integers), .text): return .text(integers.map(String.init))
    default: return labels
    }
  }
}
