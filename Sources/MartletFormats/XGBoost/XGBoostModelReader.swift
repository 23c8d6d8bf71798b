import MartletEngine

/// Reads a whole model: what is about the learner here, trees in `XGBoostTreeReader`.
struct XGBoostModelReader<Reader: DocumentReader> {
  /// Characters of a text that is kept; attributes of users may be long.
  private static var textLimit: Int { 1 << 20 }

  private let bytes: Int
  private var model = XGBoostModel()
  private var booster: String?
  private var trees: XGBoostTreeReader<Reader>?
  private var treeInfo: [Int32] = []
  private var iterationStarts: [Int32]?
  private var treeWeights: [Float]?
  private var parallelTrees = 1
  private var classes = 0
  private var targets = 1
  private var objectiveName: String?
  private var codedFeatures = 0
  private var allCategories = 0

  private init(bytes: Int) { self.bytes = bytes }

  /// Reads a whole file.
  static func read(_ bytes: UnsafeRawBufferPointer) throws(DocumentError) -> XGBoostModel {
    var reader = Reader(bytes)
    var this = XGBoostModelReader(bytes: bytes.count)
    try this.document(&reader)
    try this.complete(reader)
    return this.model
  }

  private mutating func document(_ reader: inout Reader) throws(DocumentError) {
    var seen: Set<String> = []
    try reader.object { (reader, key) throws(DocumentError) in
      seen.insert(key)
      switch key {
      case "learner": try learner(&reader)
      case "version":
        try reader.array { (reader, index) throws(DocumentError) in
          let part = try reader.integer()
          if index < 3 { model.version.append(Int(part)) }
        }
      default: try reader.skip()
      }
    }
    try reader.finish()
    guard seen.contains("learner") else {
      throw reader.error(
        seen.contains("Model")
          ? "the document is a snapshot of a booster's memory (save_raw, pickle), expected one of save_model"
          : "the document has no 'learner', which every model of XGBoost's has")
    }
  }

  private mutating func learner(_ reader: inout Reader) throws(DocumentError) {
    var seen: Set<String> = []
    // The number of features comes behind the trees, but is wanted to check them: it is looked up first.
    var ahead = reader
    try lookAhead(&ahead)
    try reader.object { (reader, key) throws(DocumentError) in
      seen.insert(key)
      switch key {
      case "attributes":
        try reader.object { (reader, key) throws(DocumentError) in
          guard try reader.kind() == .text else { throw reader.error("is no text, expected one") }
          model.attributes[key] = try reader.text(limit: Self.textLimit)
        }
      case "feature_names":
        try reader.array { (reader, index) throws(DocumentError) in
          guard index < model.features else {
            throw reader.error("is one more name than there are features, which are \(model.features)")
          }
          let name = try reader.text(limit: 1024)
          guard !name.isEmpty else { throw reader.error("is empty, expected a name") }
          model.featureNames.append(name)
        }
      case "gradient_booster": try gradientBooster(&reader)
      case "objective":
        try reader.object { (reader, key) throws(DocumentError) in
          if key == "name" { objectiveName = try reader.text(limit: 1024) } else { try reader.skip() }
        }
      default: try reader.skip()
      }
    }
    for name in ["learner_model_param", "gradient_booster", "objective"] {
      guard seen.contains(name) else { throw reader.error("has no \(name)") }
    }
  }

  private mutating func lookAhead(_ reader: inout Reader) throws(DocumentError) {
    try reader.object { (reader, key) throws(DocumentError) in
      if key == "learner_model_param" { try parameters(&reader) } else { try reader.skip() }
    }
  }

  /// `learner_model_param`, whose numbers are texts.
  private mutating func parameters(_ reader: inout Reader) throws(DocumentError) {
    try reader.object { (reader, key) throws(DocumentError) in
      switch key {
      case "num_feature": model.features = try reader.numberInText(1...XGBoostGraph.maximumFeatures)
      case "num_class": classes = try reader.numberInText(0...XGBoostGraph.maximumOutputs)
      case "num_target": targets = try reader.numberInText(0...XGBoostGraph.maximumOutputs)
      case "base_score": model.baseScores = try baseScores(&reader)
      default: try reader.skip()
      }
    }
    guard model.features > 0 else { throw reader.error("has no num_feature") }
    guard classes <= 1 || targets <= 1 else {
      throw reader.error("has \(classes) classes and \(targets) targets, expected one of them")
    }
    model.outputs = max(classes, targets, 1)
    guard !model.baseScores.isEmpty else { throw reader.error("has no base_score") }
    // Before version 3.1 one number stood for all outputs.
    if model.baseScores.count == 1, model.outputs > 1 {
      model.baseScores = Array(repeating: model.baseScores[0], count: model.outputs)
    }
    guard model.baseScores.count == model.outputs else {
      throw reader.error("has \(model.baseScores.count) numbers, expected \(model.outputs)").inside("base_score")
    }
  }

  /// A number, or a list of them, within a text: `5E-1`, `[5E-1,2E-1]`.
  private func baseScores(_ reader: inout Reader) throws(DocumentError) -> [Float] {
    guard try reader.kind() == .text else { return [try reader.float()] }
    let text = try reader.text(limit: Self.textLimit)
    var scores: [Float] = []
    var problem: DocumentError?
    var copy = text
    copy.withUTF8 { bytes in
      var inner = JSONReader(UnsafeRawBufferPointer(bytes))
      do throws(DocumentError) {
        if try inner.kind() == .array { try inner.floats(into: &scores) } else { scores = [try inner.float()] }
        try inner.finish()
      } catch {
        problem = error
      }
    }
    if let problem {
      throw reader.error("is '\(text.prefix(64))', expected a number or a list of numbers; \(problem.problem)")
    }
    if let odd = scores.first(where: { !$0.isFinite }) { throw reader.error("holds \(odd), expected finite numbers") }
    return scores
  }

  // MARK: Boosters

  private mutating func gradientBooster(_ reader: inout Reader) throws(DocumentError) {
    try reader.object { (reader, key) throws(DocumentError) in
      switch key {
      case "name": booster = try reader.text(limit: 64)
      case "model": try content(&reader)
      case "gbtree":
        // The booster within the booster of dart.
        try reader.object { (reader, key) throws(DocumentError) in
          if key == "model" { try content(&reader) } else { try reader.skip() }
        }
      case "weight_drop":
        var weights: [Float] = []
        try reader.array { (reader, index) throws(DocumentError) in
          try checkTree(index, reader)
          weights.appendGrowingSlowly(try reader.float())
        }
        treeWeights = weights
      default: try reader.skip()
      }
    }
    guard let booster else { throw reader.error("has no name") }
    guard ["gbtree", "dart", "gblinear"].contains(booster) else {
      throw reader.error("is '\(booster.prefix(64))', expected gbtree, dart or gblinear").inside("name")
    }
  }

  /// The model of a booster: trees, or weights.
  private mutating func content(_ reader: inout Reader) throws(DocumentError) {
    guard trees == nil, model.weights.isEmpty else { throw reader.error("is there twice, expected one") }
    var trees = XGBoostTreeReader<Reader>(features: model.features, outputs: model.outputs)
    var hasTrees = false
    try reader.object { (reader, key) throws(DocumentError) in
      switch key {
      case "trees":
        hasTrees = true
        try reader.array { (reader, index) throws(DocumentError) in try trees.tree(&reader, index) }
      case "tree_info":
        try reader.array { (reader, index) throws(DocumentError) in
          try checkTree(index, reader)
          let output = try reader.integer()
          guard output >= 0, output < Int64(model.outputs) else {
            throw reader.error("is \(output), expected 0 to \(model.outputs - 1)")
          }
          treeInfo.appendGrowingSlowly(Int32(output))
        }
      case "iteration_indptr":
        var starts: [Int32] = []
        try reader.array { (reader, index) throws(DocumentError) in
          try checkTree(max(0, index - 1), reader)
          let start = try reader.integer()
          guard start >= Int64(starts.last ?? 0), start <= Int64(Int32.max) else {
            throw reader.error("is \(start), expected numbers that do not fall")
          }
          starts.appendGrowingSlowly(Int32(start))
        }
        iterationStarts = starts
      case "gbtree_model_param":
        try reader.object { (reader, key) throws(DocumentError) in
          if key == "num_parallel_tree" {
            parallelTrees = try reader.numberInText(1...Int(Int32.max))
          } else {
            try reader.skip()
          }
        }
      case "cats": try categories(&reader)
      case "weights":
        let limit = (model.features + 1) * model.outputs
        try reader.array { (reader, index) throws(DocumentError) in
          guard index < limit else {
            throw reader.error("is one more than expected: features and outputs make \(limit)")
          }
          model.weights.appendGrowingSlowly(try reader.float())
        }
      default: try reader.skip()
      }
    }
    if hasTrees { self.trees = trees }
  }

  /// Lists of trees cannot be longer than a file has room for trees.
  private func checkTree(_ index: Int, _ reader: Reader) throws(DocumentError) {
    guard index <= bytes / 100 else {
      throw reader.error("is of tree \(index), but a file of \(bytes) bytes has no room for so many")
    }
  }

  /// `cats`: for each feature the categories in the order of their codes, texts as in Arrow, or whole numbers.
  private mutating func categories(_ reader: inout Reader) throws(DocumentError) {
    try reader.object { (reader, key) throws(DocumentError) in
      guard key == "enc" else {
        try reader.skip()
        return
      }
      try reader.array { (reader, index) throws(DocumentError) in
        guard index < model.features else {
          throw reader.error("is one more than there are features, which are \(model.features)")
        }
        let categories = try categoriesOfFeature(&reader)
        model.categories.append(categories)
        guard !categories.isEmpty else { return }
        codedFeatures += 1
        guard codedFeatures <= XGBoostGraph.maximumCodedFeatures else {
          throw reader.error("is one more feature with categories than \(XGBoostGraph.maximumCodedFeatures), the limit")
        }
      }
    }
  }

  private mutating func categoriesOfFeature(
    _ reader: inout Reader
  ) throws(DocumentError) -> XGBoostModel.Categories {
    var offsets: [Int32]?
    var bytes: [UInt8] = []
    var integers: [Int64] = []
    var isReal = false
    try reader.object { (reader, key) throws(DocumentError) in
      switch key {
      case "offsets":
        var list: [Int32] = []
        try reader.integers(into: &list)
        offsets = list
        try count(list.count - 1, reader)
      // Behind offsets come the bytes of texts; keys are in alphabetical order.
      case "values" where offsets != nil:
        try reader.array { (reader, _) throws(DocumentError) in
          bytes.appendGrowingSlowly(UInt8(truncatingIfNeeded: try reader.integer()))
        }
      case "values":
        try reader.array { (reader, _) throws(DocumentError) in
          try count(1, reader)
          integers.appendGrowingSlowly(try reader.integer())
        }
      case "type": isReal = try [7, 8].contains(reader.integer())
      default: try reader.skip()
      }
    }
    guard !isReal else { throw reader.error("has categories that are real numbers, which is not supported") }
    guard let offsets else { return integers.isEmpty ? .none : .integers(integers) }
    guard offsets.count > 1 else { return .none }
    guard integers.isEmpty else { throw reader.error("has values before offsets, expected them behind") }
    var texts: [String] = []
    texts.reserveCapacity(offsets.count - 1)
    for index in 1..<offsets.count {
      let (start, end) = (Int(offsets[index - 1]), Int(offsets[index]))
      guard start >= 0, start <= end, end <= bytes.count else {
        throw reader.error("is \(end) after \(start), expected a place in \(bytes.count) bytes").inside(index).inside(
          "offsets")
      }
      let text = bytes[start..<end].withUnsafeBytes {
        isValidUTF8($0) && !$0.contains(0) ? String(decoding: $0, as: UTF8.self) : nil
      }
      guard let text else { throw reader.error("category \(index - 1) is not a text in UTF-8 without NUL") }
      texts.append(text)
    }
    return .texts(texts)
  }

  /// Categories cost more in memory than short ones take in the file.
  private mutating func count(_ categories: Int, _ reader: Reader) throws(DocumentError) {
    allCategories += max(0, categories)
    let limit = 65_536 + bytes / 32
    guard allCategories <= limit else {
      throw reader.error(
        "brings the categories of the model to \(allCategories), a file of \(bytes) bytes may have \(limit)")
    }
  }

  // MARK: All together

  /// Checks what belongs together, and makes the ensemble.
  private mutating func complete(_ reader: Reader) throws(DocumentError) {
    guard let objectiveName else { throw reader.error("has no name").inside("objective").inside("learner") }
    guard let objective = XGBoostObjective(rawValue: objectiveName) else {
      let known = XGBoostObjective.allCases.map(\.rawValue).joined(separator: ", ")
      throw reader.error("is '\(objectiveName.prefix(64))', expected one of \(known)").inside("name").inside(
        "objective"
      )
      .inside("learner")
    }
    model.objective = objective
    if objective == .softmax || objective == .softprob, classes < 1 {
      throw reader.error("is \(classes), but \(objectiveName) needs classes").inside("num_class").inside(
        "learner_model_param"
      ).inside("learner")
    }
    guard model.featureNames.isEmpty || model.featureNames.count == model.features else {
      throw reader.error("has \(model.featureNames.count) names, expected \(model.features)").inside("feature_names")
        .inside("learner")
    }
    guard model.categories.isEmpty || model.categories.count == model.features else {
      throw reader.error("has \(model.categories.count) elements, expected \(model.features)").inside("cats").inside(
        "learner")
    }
    func failed(_ problem: String, _ name: String) -> DocumentError {
      reader.error(problem).inside(name).inside("model").inside("gradient_booster").inside("learner")
    }
    if booster == "gblinear" {
      let expected = (model.features + 1) * model.outputs
      guard model.weights.count == expected else {
        throw failed("has \(model.weights.count) elements, expected \(expected)", "weights")
      }
      return
    }
    guard let trees else { throw failed("is missing", "trees") }
    self.trees = nil
    let count = trees.firstNode.count
    guard treeInfo.count == count else {
      throw failed("has \(treeInfo.count) elements, expected \(count), one for each tree", "tree_info")
    }
    if booster == "dart" {
      guard trees.ensemble.leafVectors.isEmpty else {
        throw failed("have leaves with vectors, which the library has no dart of", "trees")
      }
      guard treeWeights?.count == count else {
        throw failed("has \(treeWeights?.count ?? 0) elements, expected \(count), one for each tree", "weight_drop")
      }
    } else {
      treeWeights = nil
    }
    if let last = iterationStarts?.last, Int(last) != count {
      throw failed("ends with \(last), expected \(count), the number of trees", "iteration_indptr")
    }
    let used = try usedTrees(count, reader)
    model.trees = trees.finish(
      trees: used, outputOfTree: treeInfo, outputs: model.outputs, treeWeights: treeWeights)
  }

  /// How many trees predict. All of them, as `Booster.predict` takes them; those up to the best iteration in a file that
  /// the scikit-learn interface saved, as its `predict` takes them.
  private func usedTrees(_ count: Int, _ reader: Reader) throws(DocumentError) -> Int {
    guard model.attributes["scikit_learn"] != nil, let text = model.attributes["best_iteration"] else { return count }
    func failed(_ problem: String) -> DocumentError {
      reader.error(problem).inside("best_iteration").inside("attributes").inside("learner")
    }
    guard let best = Int(text), best >= 0 else { throw failed("is '\(text.prefix(64))', expected a whole number") }
    if let iterationStarts {
      guard best + 1 < iterationStarts.count else {
        throw failed("is \(best), but the model has \(iterationStarts.count - 1) iterations")
      }
      return Int(iterationStarts[best + 1])
    }
    let each = (Int(treeInfo.max() ?? 0) + 1) * parallelTrees
    guard best < count / each else { throw failed("is \(best), but the model has \(count / each) iterations") }
    return (best + 1) * each
  }
}
