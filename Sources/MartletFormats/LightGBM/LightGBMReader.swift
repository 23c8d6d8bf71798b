import MartletEngine

/// Reads a file section by section: header, trees, and of what follows the categories.
struct LightGBMReader {
  /// The most features of a model; as many as a row of an input may have.
  static let maximumFeatures = 1 << 16

  private let bytes: UnsafeRawBufferPointer
  private var lines: LightGBMLines
  private var model = LightGBMModel()
  /// What the header says of each feature, and of the number of trees.
  private var featureInfos: LightGBMLines.Line?
  private var treeSizes: LightGBMLines.Line?

  init(_ bytes: UnsafeRawBufferPointer) {
    self.bytes = bytes
    lines = LightGBMLines(bytes)
  }

  mutating func read() throws(ModelError) -> LightGBMModel {
    var builder = try readHeader()
    try readTrees(&builder)
    model.trees = try builder.finish()
    try readTail()
    return model
  }

  /// The memory that trees may take, with what the engine makes of them: a load shall stay within four times the file
  /// and 16 MiB.
  static func memoryLimit(_ bytes: UnsafeRawBufferPointer) -> Int { 4 * bytes.count + 14 << 20 }

  private func error(_ problem: String) -> ModelError { ModelError("line \(lines.number): \(problem)") }

  // MARK: Header

  /// Everything before the first tree, whose line is read too.
  private mutating func readHeader() throws(ModelError) -> LightGBMTreeBuilder {
    _ = lines.next()
    var values: [String: LightGBMLines.Line] = [:]
    while let line = lines.next() {
      if line.isEmpty { continue }
      if line.starts(withText: "Tree=") {
        try readHeader(values)
        var builder = LightGBMTreeBuilder(
          features: model.features, outputs: model.outputs, memoryLimit: Self.memoryLimit(bytes))
        try builder.reserve(nodes: countNodes())
        try begin(line, tree: 0)
        return builder
      }
      if line.isText("end of trees") { throw error("the file has no trees") }
      guard let (key, value) = line.splitAtEquals() else {
        if line.isText("average_output") {
          model.averagesOutput = true
          continue
        }
        throw error("the header has \(line.excerpt), expected KEY=VALUE")
      }
      guard key.count <= 64, values.count < 64 else { throw error("the header has the unknown key \(key.excerpt)") }
      guard values.updateValue(value, forKey: String(decoding: key, as: UTF8.self)) == nil else {
        throw error("the header has the key \(key.excerpt) twice")
      }
    }
    throw error("the file ends within the header, expected trees")
  }

  private mutating func readHeader(_ values: [String: LightGBMLines.Line]) throws(ModelError) {
    func required(_ key: String) throws(ModelError) -> LightGBMLines.Line {
      guard let value = values[key] else { throw ModelError("header: \(key) is missing") }
      return value
    }
    func integer(_ key: String, _ range: ClosedRange<Int32>) throws(ModelError) -> Int {
      let text = try required(key)
      guard let value = LightGBMNumber.integer(text), range.contains(value) else {
        throw ModelError(
          "header: \(key) is \(text.excerpt), expected a whole number from \(range.lowerBound) to \(range.upperBound)")
      }
      return Int(value)
    }
    let version = try required("version")
    guard version.isText("v3") || version.isText("v4") else {
      throw ModelError("header: version is \(version.excerpt), supported are v3 and v4")
    }
    model.version = String(decoding: version, as: UTF8.self)
    model.features = try integer("max_feature_idx", 0...Int32(Self.maximumFeatures - 1)) + 1
    model.outputs = try integer("num_tree_per_iteration", 1...65_536)
    if values["num_class"] != nil { _ = try integer("num_class", 1...65_536) }
    if let line = values["objective"] {
      do {
        model.objective = try LightGBMObjective(line)
      } catch {
        throw ModelError("header: \(error.message)")
      }
      guard model.objective.accepts(outputs: model.outputs) else {
        throw ModelError("header: objective \(line.excerpt) does not go with \(model.outputs) trees an iteration")
      }
    }
    var names = LightGBMValues(try required("feature_names"))
    while let name = names.next() {
      guard names.taken <= model.features else { break }
      guard name.count <= 1 << 12, isValidUTF8(name), !name.contains(0) else {
        throw ModelError("header: feature_names: name \(names.taken) is not a text of at most 4096 bytes in UTF-8")
      }
      model.featureNames.append(String(decoding: name, as: UTF8.self))
    }
    guard names.taken == model.features else {
      throw ModelError(
        "header: feature_names has \(names.taken > model.features ? "more" : "\(names.taken)") names, expected "
          + "\(model.features) as max_feature_idx says")
    }
    featureInfos = values["feature_infos"]
    treeSizes = values["tree_sizes"]
  }

  // MARK: Trees

  /// Nodes and leaves of all trees, as they say themselves: what to make room for.
  private func countNodes() throws(ModelError) -> Int {
    var rest = lines
    var count = 0
    while let line = rest.next() {
      guard line.starts(withText: "num_leaves=") else { continue }
      let leaves = LightGBMNumber.integer(UnsafeRawBufferPointer(rebasing: line.dropFirst(11))) ?? 0
      count += max(0, 2 * Int(leaves) - 1)
    }
    return count
  }

  private func begin(_ line: LightGBMLines.Line, tree: Int) throws(ModelError) {
    let number = UnsafeRawBufferPointer(rebasing: line.dropFirst(5))
    guard LightGBMNumber.integer(number) == Int32(tree) else {
      throw error("the tree is called \(number.excerpt), expected \(tree)")
    }
  }

  /// All trees, the first of which has begun, and the line behind them.
  private mutating func readTrees(_ builder: inout LightGBMTreeBuilder) throws(ModelError) {
    var tree = 0
    var text = LightGBMTreeText()
    var isInTree = true
    while let line = lines.next() {
      if line.isEmpty {
        isInTree = false
        continue
      }
      if isInTree {
        try text.add(line, tree: tree)
        continue
      }
      try builder.add(text, tree: tree)
      tree += 1
      if line.isText("end of trees") { return try checkCount(of: tree) }
      guard line.starts(withText: "Tree=") else {
        throw error("there is \(line.excerpt) behind tree \(tree - 1), expected Tree=\(tree) or 'end of trees'")
      }
      try begin(line, tree: tree)
      text = LightGBMTreeText()
      isInTree = true
    }
    throw error("the file ends within or behind tree \(tree), expected 'end of trees'")
  }

  private func checkCount(of trees: Int) throws(ModelError) {
    guard trees % model.outputs == 0 else {
      throw error("there are \(trees) trees, expected a multiple of num_tree_per_iteration, \(model.outputs)")
    }
    guard let treeSizes else { return }
    var sizes = LightGBMValues(treeSizes)
    while sizes.next() != nil {}
    guard sizes.taken == trees else {
      throw error("there are \(trees) trees, expected \(sizes.taken) as tree_sizes says")
    }
  }

  // MARK: What follows the trees

  private mutating func readTail() throws(ModelError) {
    var isInParameters = false
    var categorical: [Int]?
    while let line = lines.next() {
      if line.isText("parameters:") { isInParameters = true }
      if line.isText("end of parameters") { isInParameters = false }
      if isInParameters, line.starts(withText: "[categorical_feature: ") {
        categorical = Self.indices(UnsafeRawBufferPointer(rebasing: line.dropFirst(22)), below: model.features)
      }
      guard !isInParameters, line.starts(withText: "pandas_categorical:") else { continue }
      let text = UnsafeRawBufferPointer(rebasing: line.dropFirst(19))
      do {
        model.pandasCategories = try PandasCategories.read(text, memoryLimit: Self.memoryLimit(bytes) / 2)
      } catch {
        throw self.error("pandas_categorical: \(error.message)")
      }
    }
    if isInParameters { throw error("the file ends within the parameters, expected 'end of parameters'") }
    model.categoricalFeatures = categorical ?? featureInfos.map(categoriesInInfos) ?? []
  }

  /// The numbers of `1,3,4]`; nil when it is anything else or empty.
  private static func indices(_ text: UnsafeRawBufferPointer, below limit: Int) -> [Int]? {
    guard text.last == 0x5d, text.count > 1 else { return nil }
    var found: Set<Int> = []
    for part in text.dropLast().split(separator: 0x2c) {
      guard let index = LightGBMNumber.integer(UnsafeRawBufferPointer(rebasing: part)), index >= 0, index < limit else {
        return nil
      }
      found.insert(Int(index))
    }
    return found.sorted()
  }

  /// Features whose values the header lists as categories, `0:2:1`, rather than as a range, `[0:2]`.
  private func categoriesInInfos(_ line: LightGBMLines.Line) -> [Int] {
    var infos = LightGBMValues(line)
    var found: [Int] = []
    while let info = infos.next(), infos.taken <= model.features {
      if info.first != 0x5b, !info.isText("none") { found.append(infos.taken - 1) }
    }
    return found
  }
}
