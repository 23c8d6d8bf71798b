import MartletCore

@testable import MartletEngine

/// A made-up pipeline: columns of texts and numbers, encoders and arithmetic as exporters write them, and a model behind.
struct RandomPipeline {
  private(set) var graph: Graph
  private var numbers: SplitMix
  private var nodes: [GraphNode] = []
  private var initializers: [String: ConstantTensor] = [:]
  private var inputs: [Graph.Value] = []
  private var next = 0
  /// Feature blocks and their widths.
  private var blocks: [(name: String, width: Int)] = []
  /// Constants of the encoders, among which thresholds are.
  private var levels: [Float] = [0, 0.5, 1, -1, 2, 3, -0.0, .infinity, .nan]

  /// Words that encoders know, and others: the empty text, short and long ones, ones of a common beginning.
  static let words: [String] =
    ["", "a", "ab", "abc", "abcd", "abcdefgh", "abcdefghi", "no", "yes", "naïve 🦜", "unknown", "never seen"]
    + (0..<6).map { "category number \($0) of a long list of names" }
    + (0..<4).map { String(repeating: "long ", count: 13) + "\($0)" + String(repeating: "tail", count: 5) }

  private let hasTrees: Bool

  /// `hasTrees`: with a tree ensemble behind the encoders, or two.
  init(seed: UInt64, hasTrees: Bool = false) {
    self.hasTrees = hasTrees
    numbers = SplitMix(seed)
    graph = Graph(inputs: [], outputs: [], nodes: [])
    for _ in 0..<(1 + numbers.below(3)) { addTexts() }
    for _ in 0..<(1 + numbers.below(2)) { addNumbers() }
    if numbers.below(3) == 0 { addWholeNumbers() }
    blocks.shuffle(using: &numbers)
    let features = concat(blocks)
    let outputs = hasTrees ? addTrees(features) : addModel(features)
    graph = Graph(
      inputs: inputs, outputs: outputs.map { Graph.Value(name: $0, type: nil, shape: nil) }, nodes: nodes,
      initializers: initializers)
  }

  // MARK: Nodes

  private mutating func name(_ prefix: String) -> String {
    next += 1
    return "\(prefix)\(next)"
  }

  private mutating func node(
    _ opType: String, _ inputs: [String], _ attributes: [String: AttributeValue] = [:], ml: Bool = false
  ) -> String {
    let output = name(opType.lowercased())
    nodes.append(
      GraphNode(
        opType: opType, domain: ml ? "ai.onnx.ml" : "", opset: ml ? 3 : 15, inputs: inputs, outputs: [output],
        attributes: attributes))
    return output
  }

  private mutating func constant<T: BitwiseCopyable>(_ type: ElementType, _ shape: Shape, _ values: [T]) -> String {
    let own = name("constant")
    initializers[own] = ConstantTensor(type, shape, values)
    return own
  }

  private mutating func concat(_ blocks: [(name: String, width: Int)]) -> (name: String, width: Int) {
    let width = blocks.reduce(0) { $0 + $1.width }
    if blocks.count == 1 { return blocks[0] }
    return (node("Concat", blocks.map(\.name), ["axis": .integer(1)]), width)
  }

  private mutating func float() -> Float {
    switch numbers.below(8) {
    case 0: 0
    case 1: -0.0
    case 2: 1
    default: Float(Double(Int64(bitPattern: numbers.next() >> 40)) / 4_000_000 - 2)
    }
  }

  private mutating func floats(_ count: Int) -> [Float] {
    let made = (0..<count).map { _ in float() }
    levels += made
    return made
  }

  // MARK: Columns

  private mutating func addTexts() {
    let width = 1 + numbers.below(3)
    let input = name("text")
    inputs.append(Graph.Value(name: input, type: .text, shape: [nil, width]))
    var columns: [String] = []
    for column in 0..<width {
      let index = constant(.int64, Shape(1), [Int64(column)])
      var value =
        width == 1 && numbers.below(2) == 0
        ? input
        : node(numbers.below(2) == 0 ? "Gather" : "ArrayFeatureExtractor", [input, index], ["axis": .integer(1)])
      if nodes.last?.opType == "ArrayFeatureExtractor", nodes.last?.outputs == [value] {
        nodes[nodes.count - 1].domain = "ai.onnx.ml"
        nodes[nodes.count - 1].opset = 3
        nodes[nodes.count - 1].attributes = [:]
      }
      if numbers.below(2) == 0 { value = imputed(value) }
      columns.append(value)
    }
    for column in columns { addEncoded(column) }
    if numbers.below(3) == 0 { addEncoded(columns[0]) }
  }

  /// The most frequent text in place of the empty one, as exporters write it.
  private mutating func imputed(_ value: String) -> String {
    let isMissing = node(
      "Cast",
      [
        node(
          "LabelEncoder", [value],
          [
            "keys_strings": .texts(ConstantTensor(strings: [""])), "values_int64s": .integers([1]),
            "default_int64": .integer(0),
          ], ml: true)
      ], ["to": .integer(9)])
    let own = name("constant")
    initializers[own] = ConstantTensor(strings: [Self.words[1 + numbers.below(8)]], Shape(1, 1))
    return node("Where", [isMissing, own, value])
  }

  private mutating func categories() -> [String] {
    var words = Self.words
    words.shuffle(using: &numbers)
    return Array(words.prefix(1 + numbers.below(words.count - 4)))
  }

  private mutating func addEncoded(_ column: String) {
    if hasTrees, numbers.below(6) == 0 {
      // As boosters number the categories of a column; none is unknown, as that is refused.
      let all = AttributeValue.texts(ConstantTensor(strings: Array(Self.words.dropFirst()).shuffled(using: &numbers)))
      let encoded = node("CategoryCode", [column], ["categories": all], ml: true)
      nodes[nodes.count - 1].domain = "ai.martlet"
      nodes[nodes.count - 1].opset = 1
      blocks.append((encoded, 1))
      return
    }
    let categories = categories()
    let texts = AttributeValue.texts(ConstantTensor(strings: categories))
    switch numbers.below(4) {
    case 0:
      // Target encoding: a number for each category.
      let values = floats(categories.count)
      let encoded = node(
        "LabelEncoder", [column],
        ["keys_strings": texts, "values_floats": .floats(values), "default_float": .float(float())], ml: true)
      blocks.append((encoded, 1))
    case 1:
      // Ordinal numbers, cast.
      let encoded = node(
        "LabelEncoder", [column],
        [
          "keys_strings": texts, "values_int64s": .integers((0..<Int64(categories.count)).map { $0 }),
          "default_int64": .integer(-1),
        ], ml: true)
      let shape = constant(.int64, Shape(2), [Int64(-1), 1])
      blocks.append((node("Cast", [node("Reshape", [encoded, shape])], ["to": .integer(1)]), 1))
    default:
      var column = column
      var texts = texts
      var categories = categories
      if categories.count > 4, numbers.below(4) == 0 {
        // Some categories are one: the infrequent ones.
        let rare = 2 + numbers.below(categories.count - 3)
        let merged = categories.enumerated().map { $0 < rare ? "infrequent" : $1 }
        column = node(
          "LabelEncoder", [column],
          [
            "keys_strings": texts, "values_strings": .texts(ConstantTensor(strings: merged)),
            "default_string": .text(["infrequent", "none of them"][numbers.below(2)]),
          ], ml: true)
        categories = ["infrequent"] + categories[rare...]
        texts = .texts(ConstantTensor(strings: categories))
      }
      let encoded = node("OneHotEncoder", [column], ["cats_strings": texts, "zeros": .integer(1)], ml: true)
      var width = categories.count
      let shape = constant(.int64, Shape(2), [Int64(-1), Int64(width)])
      var flat = node("Reshape", [encoded, shape])
      if width > 2, numbers.below(3) == 0 {
        // A selection of features, or all but the first.
        let kept = (1..<Int64(width)).filter { _ in numbers.below(3) > 0 }
        if !kept.isEmpty {
          flat = node("ArrayFeatureExtractor", [flat, constant(.int64, Shape(kept.count), kept)], ml: true)
          width = kept.count
        }
      }
      if numbers.below(3) == 0 {
        // Scaled, which leaves no zeros.
        let offset = AttributeValue.floats(floats(width))
        flat = node("Scaler", [flat], ["offset": offset, "scale": .floats(floats(width))], ml: true)
      }
      blocks.append((flat, width))
    }
  }

  private mutating func addNumbers() {
    let isMatrix = numbers.below(2) == 0
    let width = 1 + numbers.below(12)
    var block: (name: String, width: Int)
    if isMatrix {
      let input = name("number")
      inputs.append(Graph.Value(name: input, type: .float32, shape: [nil, width]))
      block = (input, width)
    } else {
      let names = (0..<width).map { _ in name("number") }
      for own in names { inputs.append(Graph.Value(name: own, type: .float32, shape: [nil, 1])) }
      block = concat(names.map { ($0, 1) })
    }
    for _ in 0..<numbers.below(4) { block.name = arithmetic(block.name, block.width) }
    if block.width > 2, numbers.below(4) == 0 {
      let kept = (0..<Int64(block.width)).filter { _ in numbers.below(2) == 0 }
      if !kept.isEmpty {
        let index = constant(.int64, Shape(kept.count), kept)
        block = (node("ArrayFeatureExtractor", [block.name, index], ml: true), kept.count)
      }
    }
    if numbers.below(3) == 0 { addBins(block) }
    if numbers.below(5) == 0 { addFlags(block) }
    blocks.append(block)
  }

  /// A column in bins, as exporters write it: comparisons with the lower bounds, and the first that holds.
  private mutating func addBins(_ block: (name: String, width: Int)) {
    let index = constant(.int64, Shape(1), [Int64(numbers.below(block.width))])
    let column = node("ArrayFeatureExtractor", [block.name, index], ml: true)
    let bounds = floats(1 + numbers.below(6)).sorted(by: >)
    let isLess = node("Less", [column, constant(.float32, Shape(bounds.count), bounds)])
    let compared = node("Cast", [node("Not", [isLess])], ["to": .integer(1)])
    let zero = node("Mul", [column, constant(.float32, Shape(1), [Float(0)])])
    let last = node("Add", [zero, constant(.float32, Shape(1), [Float(1)])])
    let all = node("Concat", [compared, last], ["axis": .integer(1)])
    let bin = node("ArgMax", [all], ["axis": .integer(1), "keepdims": .integer(1)])
    let count = bounds.count + 1
    if numbers.below(2) == 0 {
      blocks.append((node("Cast", [bin], ["to": .integer(1)]), 1))
      return
    }
    let hot = node("OneHotEncoder", [bin], ["cats_int64s": .integers((0..<Int64(count)).map { $0 })], ml: true)
    blocks.append((node("Reshape", [hot, constant(.int64, Shape(2), [Int64(-1), Int64(count)])]), count))
  }

  /// Which values are missing, and which are equal to some number.
  private mutating func addFlags(_ block: (name: String, width: Int)) {
    blocks.append((node("Cast", [node("IsNaN", [block.name])], ["to": .integer(1)]), block.width))
    let equal = node("Equal", [block.name, constant(.float32, Shape(1), [float()])])
    blocks.append((node("Cast", [equal], ["to": .integer(1)]), block.width))
  }

  private mutating func arithmetic(_ value: String, _ width: Int) -> String {
    let isSpread = numbers.below(3) == 0
    let count = isSpread ? 1 : width
    switch numbers.below(8) {
    case 0:
      return node(
        "Imputer", [value],
        ["imputed_value_floats": .floats(floats(count)), "replaced_value_float": .float(.nan)], ml: true)
    case 1:
      return node(
        "Imputer", [value],
        ["imputed_value_floats": .floats(floats(count)), "replaced_value_float": .float(float())], ml: true)
    case 2:
      return node("Scaler", [value], ["offset": .floats(floats(count)), "scale": .floats(floats(width))], ml: true)
    case 3:
      let low = constant(.float32, Shape(), [Float(-1)])
      return node("Clip", [value, low, constant(.float32, Shape(), [Float(1.5)])])
    default:
      let operation = ["Add", "Sub", "Mul", "Div"][numbers.below(4)]
      let other = constant(.float32, Shape(1, count), floats(count))
      return node(operation, numbers.below(2) == 0 ? [value, other] : [other, value])
    }
  }

  private mutating func addWholeNumbers() {
    let input = name("whole")
    inputs.append(Graph.Value(name: input, type: .int64, shape: [nil, 1]))
    if numbers.below(2) == 0 {
      let categories = (0..<Int64(2 + numbers.below(6))).map { $0 * 2 - 3 }
      let encoded = node("OneHotEncoder", [input], ["cats_int64s": .integers(categories)], ml: true)
      let shape = constant(.int64, Shape(2), [Int64(-1), Int64(categories.count)])
      blocks.append((node("Reshape", [encoded, shape]), categories.count))
    }
    if numbers.below(2) == 0 {
      blocks.append((node("Cast", [input], ["to": .integer(1)]), 1))
    } else {
      let scale = AttributeValue.floats([float()])
      blocks.append((node("Scaler", [input], ["offset": .floats([float()]), "scale": scale], ml: true), 1))
    }
  }

  // MARK: Models

  private mutating func addModel(_ features: (name: String, width: Int)) -> [String] {
    switch numbers.below(5) {
    case 0, 1:
      let targets = 1 + numbers.below(4)
      let labels = targets == 1 ? 2 : targets
      let intercepts = numbers.below(4) == 0 && targets > 1 ? [] : floats(targets)
      let output = [name("label"), name("scores")]
      nodes.append(
        GraphNode(
          opType: "LinearClassifier", domain: "ai.onnx.ml", opset: 1, inputs: [features.name], outputs: output,
          attributes: [
            "coefficients": .floats(floats(targets * features.width)), "intercepts": .floats(intercepts),
            "classlabels_ints": .integers((0..<Int64(labels)).map { $0 }),
            "post_transform": .text(["NONE", "LOGISTIC", "SOFTMAX"][numbers.below(3)]),
          ]))
      return [output[0], node("Normalizer", [output[1]], ["norm": .text("L1")], ml: true)]
    case 2:
      let targets = 1 + numbers.below(3)
      return [
        node(
          "LinearRegressor", [features.name],
          [
            "coefficients": .floats(floats(targets * features.width)), "intercepts": .floats(floats(targets)),
            "targets": .integer(Int64(targets)),
          ], ml: true)
      ]
    case 3:
      let hidden = 1 + numbers.below(40)
      let weights = constant(.float32, Shape(features.width, hidden), floats(features.width * hidden))
      let sums = node(
        "Add", [node("MatMul", [features.name, weights]), constant(.float32, Shape(hidden), floats(hidden))])
      let active = node(["Relu", "Sigmoid", "Tanh", "Softmax"][numbers.below(4)], [sums])
      return [node("Gemm", [active, constant(.float32, Shape(hidden, 2), floats(hidden * 2))])]
    default: return [features.name]
    }
  }

  // MARK: Trees

  /// A node of a random tree; children are indices.
  private struct TreeNode {
    var feature = 0
    var mode = BranchMode.leaf
    var value: Float = 0
    var tracksTrue = false
    var whenTrue = 0
    var whenFalse = 0
  }

  private mutating func tree(width: Int, depth: Int, modes: [BranchMode], tracks: Bool) -> [TreeNode] {
    var nodes: [TreeNode] = []
    func add(_ depth: Int, _ pipeline: inout RandomPipeline) -> Int {
      let index = nodes.count
      nodes.append(TreeNode())
      guard depth > 0, nodes.count < 200, nodes.count < 4 || pipeline.numbers.below(6) > 0 else {
        nodes[index].value = pipeline.float()
        return index
      }
      nodes[index].feature = pipeline.numbers.below(width)
      nodes[index].mode = modes[pipeline.numbers.below(modes.count)]
      nodes[index].value =
        pipeline.numbers.below(3) == 0
        ? pipeline.float() : pipeline.levels[pipeline.numbers.below(pipeline.levels.count)]
      nodes[index].tracksTrue = tracks && pipeline.numbers.below(2) == 0
      nodes[index].whenTrue = add(depth - 1, &pipeline)
      nodes[index].whenFalse = add(depth - 1, &pipeline)
      return index
    }
    _ = add(depth, &self)
    return nodes
  }

  private mutating func trees(width: Int, native: Bool) -> [[TreeNode]] {
    let all: [[BranchMode]] =
      native
      ? [[.less], [.lessOrEqual], [.less, .member]]
      : [
        [.lessOrEqual], [.less], [.lessOrEqual, .equal],
        [.lessOrEqual, .less, .greaterOrEqual, .greater, .equal, .notEqual],
      ]
    let modes = all[numbers.below(all.count)]
    let tracks = numbers.below(2) == 0
    let depth = [1, 3, 4, 6, 8, 15][numbers.below(6)]
    let count = numbers.below(8) == 0 ? 120 : 1 + numbers.below(20)
    return (0..<count).map { _ in tree(width: width, depth: depth, modes: modes, tracks: tracks) }
  }

  private mutating func addTrees(_ features: (name: String, width: Int)) -> [String] {
    var features = features
    if numbers.below(4) == 0 { features.name = node("Cast", [features.name], ["to": .integer(11)]) }
    let count = numbers.below(6) == 0 ? 2 : 1
    return (0..<count).flatMap { _ in
      numbers.below(3) == 0 ? addNative(features) : addEnsemble(features)
    }
  }

  private mutating func addNative(_ features: (name: String, width: Int)) -> [String] {
    let outputs = 1 + numbers.below(2)
    var ensemble = NativeEnsemble(
      precision: numbers.below(2) == 0 ? .single : .double, outputs: outputs,
      startsAt: (0..<outputs).map { Double($0) })
    for tree in trees(width: features.width, native: true) {
      let first = ensemble.nodes.count
      ensemble.outputOfTree.append(Int32(ensemble.roots.count % outputs))
      ensemble.roots.append(UInt32(first))
      for (index, node) in tree.enumerated() {
        var value = Double(node.value)
        if node.mode == .member {
          value = Double(ensemble.categories.count)
          ensemble.categories.append((0..<5).compactMap { numbers.below(2) == 0 ? Int64($0) : nil })
        }
        ensemble.nodes.append(
          NativeEnsemble.Node(
            test: node.mode == .leaf
              ? .leaf : node.mode == .member ? .category : node.mode == .less ? .less : .lessOrEqual,
            feature: Int32(node.feature), missingGoesTrue: node.tracksTrue, value: value,
            whenTrue: UInt32(node.mode == .leaf ? index : first + node.whenTrue),
            whenFalse: UInt32(first + node.whenFalse)))
      }
    }
    let output = [name("margin")] + (numbers.below(2) == 0 ? [name("leaves")] : [])
    nodes.append(
      GraphNode(
        opType: "TreeEnsemble", domain: "ai.martlet", opset: 1, inputs: [features.name], outputs: output,
        attributes: ["ensemble": .ensemble(ensemble)]))
    return output
  }

  private mutating func addEnsemble(_ features: (name: String, width: Int)) -> [String] {
    let targets = 1 + numbers.below(3)
    let isClassifier = targets > 1 && numbers.below(2) == 0
    let prefix = isClassifier ? "class" : "target"
    let isOneLeafTarget = numbers.below(2) == 0
    var (ids, tree, feature, whenTrue, whenFalse, tracks) = (
      [Int64](), [Int64](), [Int64](), [Int64](), [Int64](), [Int64]()
    )
    var (modes, values) = ([String](), [Float]())
    var (leafTree, leafNode, leafTarget, leafWeight) = ([Int64](), [Int64](), [Int64](), [Float]())
    let made = trees(width: features.width, native: false)
    for (number, own) in made.enumerated() {
      for (index, node) in own.enumerated() {
        tree.append(Int64(number))
        ids.append(Int64(index))
        feature.append(Int64(node.feature))
        whenTrue.append(Int64(node.whenTrue))
        whenFalse.append(Int64(node.whenFalse))
        tracks.append(node.tracksTrue ? 1 : 0)
        values.append(node.value)
        modes.append(
          ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ", "", "LEAF"][
            Int(node.mode.rawValue)])
        guard node.mode == .leaf else { continue }
        for target in 0..<targets where !isOneLeafTarget || target == number % targets {
          leafTree.append(Int64(number))
          leafNode.append(Int64(index))
          leafTarget.append(Int64(target))
          leafWeight.append(float())
        }
      }
    }
    var attributes: [String: AttributeValue] = [
      "nodes_treeids": .integers(tree), "nodes_nodeids": .integers(ids), "nodes_featureids": .integers(feature),
      "nodes_modes": .texts(ConstantTensor(strings: modes)), "nodes_truenodeids": .integers(whenTrue),
      "nodes_falsenodeids": .integers(whenFalse), "nodes_missing_value_tracks_true": .integers(tracks),
      "\(prefix)_treeids": .integers(leafTree), "\(prefix)_nodeids": .integers(leafNode),
      "\(prefix)_ids": .integers(leafTarget),
    ]
    if numbers.below(3) == 0 {
      attributes["nodes_values_as_tensor"] = .tensor(
        ConstantTensor(.float64, Shape(values.count), values.map { Double($0) }))
      attributes["\(prefix)_weights_as_tensor"] = .tensor(
        ConstantTensor(.float64, Shape(leafWeight.count), leafWeight.map { Double($0) }))
    } else {
      attributes["nodes_values"] = .floats(values)
      attributes["\(prefix)_weights"] = .floats(leafWeight)
    }
    if isClassifier {
      attributes["classlabels_int64s"] = .integers((0..<Int64(targets)).map { $0 })
      attributes["post_transform"] = .text(["NONE", "LOGISTIC", "SOFTMAX"][numbers.below(3)])
    } else {
      attributes["n_targets"] = .integer(Int64(targets))
      attributes["aggregate_function"] = .text(["SUM", "SUM", "SUM", "AVERAGE", "MAX"][numbers.below(5)])
    }
    let output = isClassifier ? [name("label"), name("scores")] : [name("value")]
    nodes.append(
      GraphNode(
        opType: isClassifier ? "TreeEnsembleClassifier" : "TreeEnsembleRegressor", domain: "ai.onnx.ml", opset: 3,
        inputs: [features.name], outputs: output, attributes: attributes))
    return output
  }

  // MARK: Rows

  /// Fills rows with known and unknown texts, missing, infinite and usual numbers.
  static func fill(_ tile: Tile, _ signature: ModelSignature, rows: Int, seed: UInt64) {
    var numbers = SplitMix(seed)
    let reals: [Float] = [.nan, .infinity, -.infinity, 0, -0.0, 1, -1, 0.5, 3.25, 1e-37, -1e-37, 1e38, -1e38, 2, 7]
    for (index, input) in signature.inputs.enumerated() {
      let texts = TextTarget(tile, input: index, firstRow: 0)
      for element in 0..<(rows * input.width) {
        switch input.type {
        case .text:
          var word = words[numbers.below(words.count)]
          _ = word.withUTF8 { texts.store(UnsafeRawBufferPointer($0), at: element) }
        case .int64:
          tile.input(index).assumingMemoryBound(to: Int64.self)[element] =
            numbers.below(20) == 0 ? Int64(bitPattern: numbers.next()) : Int64(numbers.below(14)) - 5
        default:
          tile.input(index).assumingMemoryBound(to: Float.self)[element] =
            numbers.below(3) == 0
            ? reals[numbers.below(reals.count)] : Float(Int64(bitPattern: numbers.next()) >> 40) / 300_000
        }
      }
    }
    tile.rows = rows
  }
}

extension SplitMix {
  /// A number of `0..<bound`.
  mutating func below(_ bound: Int) -> Int { Int(next() >> 33) % bound }
}
