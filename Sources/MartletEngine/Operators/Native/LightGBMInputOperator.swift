import MartletCore

/// LightGBMInput of the domain `ai.martlet`: what a LightGBM model's nodes compare, from what a caller gives.
///
/// Input 0 is `[rows, numbers]` in double precision (absent when every feature is a text), each further input a text
/// column. Output 0 is `[rows, readings]`: for each way in which nodes read a feature a column in which everything that
/// those nodes take for missing is NaN, and nothing else is. Output 1, made only where it is read, is the features
/// themselves, `[rows, features]`, as linear leaves take them.
///
/// Attributes: `sources` tells for each feature its column of input 0, or -k for the text in input k; `features` and
/// `modes` describe the readings, of which the first are one for each feature in order. `texts_k` are the categories of
/// the text in input k, and `numbers_i` those of the i-th feature of `number_features`; a category becomes its index,
/// and what is none becomes NaN.
///
/// Source: LightGBM 4.7: `Tree::NumericalDecision` and `CategoricalDecision` in `include/LightGBM/tree.h`; the rows of
/// a matrix lose what is no further from zero than `kZeroThreshold` in `src/c_api.cpp`.
final class LightGBMInputOperator: Operator, TextLookup {
  /// Modes by their numbers in the attribute `modes`.
  private enum Mode: Int64 {
    /// NaN is compared as 0.
    case none
    /// Zero and NaN are missing.
    case zero
    /// NaN is missing.
    case nan
    /// The value without its fraction; -1 for what no set can have.
    case category
  }

  /// `kZeroThreshold`, which is a float there.
  static let zeroThreshold = Double(1e-35 as Float)

  /// For each feature its column of input 0, or -k for the text in input k.
  private let sources: [Int]
  /// Whether the features are the columns of input 0 in order.
  private let isIdentity: Bool
  private let numbers: Int
  /// Categories of the text in input k at k - 1.
  private let texts: [KeyTable]
  /// The same for whoever reads the texts of a call; empty when some category is there twice.
  let lookups: [TextLookupColumn]
  private let numberFeatures: [Int]
  private let numberTables: [KeyTable]
  /// What stands for NaN and for zero in the reading of each feature.
  private let whenNaN: [Double]
  private let whenZero: [Double]
  private let categoryFeatures: [Int]
  /// Readings behind the first of each feature.
  private let further: [(feature: Int, mode: Mode)]

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    let sources = try node.required("sources", try node.integers("sources")).map { Int(clamping: $0) }
    let features = try node.required("features", try node.integers("features"))
    let modeNumbers = try node.required("modes", try node.integers("modes"))
    guard !sources.isEmpty, features.count == modeNumbers.count, features.count >= sources.count,
      features.allSatisfy({ sources.indices.contains(Int(clamping: $0)) }),
      sources.indices.allSatisfy({ features[$0] == Int64($0) })
    else {
      throw node.error(attribute: "features", "does not name every feature first, in order, and then known ones")
    }
    var modes: [Mode] = []
    for number in modeNumbers {
      guard let mode = Mode(rawValue: number) else {
        throw node.error(attribute: "modes", "has \(number), expected 0 to 3")
      }
      modes.append(mode)
    }
    numbers = try Self.checkInputs(node, context, sources)
    var texts: [KeyTable] = []
    var lookups: [TextLookupColumn] = []
    for input in 1..<max(1, context.inputCount) {
      let categories = try node.required("texts_\(input)", try node.texts("texts_\(input)"))
      texts.append(KeyTable(texts: categories))
      let keys = CodeKeys(texts: categories).texts
      guard keys.count == categories.count else { continue }
      lookups.append(TextLookupColumn(input: input, element: 0, dictionary: CodeDictionary(.texts(keys))))
    }
    self.texts = texts
    self.lookups = lookups.count == texts.count ? lookups : []
    numberFeatures = try (node.integers("number_features") ?? []).map { Int(clamping: $0) }
    var tables: [KeyTable] = []
    for (index, feature) in numberFeatures.enumerated() {
      let name = "numbers_\(index)"
      let tensor = try node.required(name, try node.tensor(name))
      guard tensor.type == .float64, sources.indices.contains(feature) else {
        throw node.error(attribute: name, "is \(tensor.type) for feature \(feature), expected float64 for a known one")
      }
      tables.append(KeyTable(floats: tensor.array(of: Double.self), matchesNaN: false))
    }
    numberTables = tables
    self.sources = sources
    isIdentity = sources.indices.allSatisfy { sources[$0] == $0 } && numberFeatures.isEmpty
    let first = modes[..<sources.count]
    whenNaN = first.map { $0 == .none ? 0 : .nan }
    whenZero = first.map { $0 == .zero ? .nan : 0 }
    categoryFeatures = first.indices.filter { first[$0] == .category }
    further = (sources.count..<features.count).map { (Int(features[$0]), modes[$0]) }
  }

  /// Returns the columns of input 0.
  private static func checkInputs(
    _ node: GraphNode, _ context: PlanningContext, _ sources: [Int]
  ) throws(ModelError) -> Int {
    guard context.inputCount >= 1 else { throw node.error("has no inputs") }
    for input in 1..<max(1, context.inputCount) {
      _ = try context.type(input, of: node, among: [.text])
    }
    var numbers = 0
    if context.hasInput(0) {
      _ = try context.type(0, of: node, among: [.float64])
      guard let shape = context.shape(0), shape.rank == 2 else {
        throw node.error("input 0 has the shape \(context.shape(0) ?? Shape()), expected [rows, features]")
      }
      numbers = shape[1]
    }
    for source in sources where source >= numbers || -source >= context.inputCount {
      throw node.error(attribute: "sources", "has \(source), but there are \(numbers) numbers")
    }
    return numbers
  }

  func run(_ context: RunContext) throws(Status) {
    let features = sources.count
    let readings = features + further.count
    let input = context.optionalInput(0)
    let rows = input?.dim(0) ?? context.input(1).count
    if let input {
      guard input.rank == 2, input.dim(1) == numbers else {
        throw Status(.invalidArgument, "input 0 of shape \(input.shape), expected [rows, \(numbers)]")
      }
    }
    for text in 1..<max(1, context.inputCount) {
      guard context.input(text).count == rows else {
        throw Status(.invalidArgument, "input \(text) of shape \(context.input(text).shape), expected \(rows) rows")
      }
    }
    let raw: UnsafePointer<Double>
    if isIdentity, let input {
      raw = UnsafePointer(input.doubles)
    } else {
      raw = collect(input, rows: rows, context)
    }
    if context.wants(1) {
      let output = try context.output(1, .float64, Shape(rows, features)).doubles
      for index in 0..<(rows * features) { output[index] = Self.flushed(raw[index]) }
    }
    guard context.wants(0) else { return }
    let output = try context.output(0, .float64, Shape(rows, readings)).doubles
    whenNaN.withUnsafeBufferPointer { whenNaN in
      whenZero.withUnsafeBufferPointer { whenZero in
        guard let whenNaN = whenNaN.baseAddress, let whenZero = whenZero.baseAddress else { return }
        for row in 0..<rows {
          Self.read(raw + row * features, to: output + row * readings, features, whenNaN, whenZero)
        }
      }
    }
    for feature in categoryFeatures {
      for row in 0..<rows {
        output[row * readings + feature] = Self.category(raw[row * features + feature])
      }
    }
    for (index, reading) in further.enumerated() {
      for row in 0..<rows {
        output[row * readings + features + index] = Self.read(raw[row * features + reading.feature], reading.mode)
      }
    }
  }

  /// The features of all rows as numbers, categories by their index.
  private func collect(_ input: Tensor?, rows: Int, _ context: RunContext) -> UnsafePointer<Double> {
    let features = sources.count
    let raw = context.temporary(rows * features, of: Double.self)
    for (feature, source) in sources.enumerated() {
      if source >= 0, let input {
        let column = input.doubles + source
        for row in 0..<rows { raw[row * features + feature] = column[row * numbers] }
      } else if context.input(-source).type == .uint16 {
        // The texts were looked up when they were read.
        let codes = context.input(-source).pointer(as: UInt16.self)
        let count = texts[-source - 1].count
        for row in 0..<rows {
          let code = Int(codes[row])
          raw[row * features + feature] = code < count ? Double(code) : .nan
        }
      } else {
        let column = context.input(-source).texts
        for row in 0..<rows {
          raw[row * features + feature] = texts[-source - 1].find(column[row]).map(Double.init) ?? .nan
        }
      }
    }
    for (index, feature) in numberFeatures.enumerated() {
      for row in 0..<rows {
        let place = row * features + feature
        raw[place] = numberTables[index].find(raw[place]).map(Double.init) ?? .nan
      }
    }
    return UnsafePointer(raw)
  }

  @inline(__always)
  private static func flushed(_ value: Double) -> Double { abs(value) <= zeroThreshold ? 0 : value }

  /// One row's features, without branches.
  @inline(__always)
  private static func read(
    _ row: UnsafePointer<Double>, to output: UnsafeMutablePointer<Double>, _ features: Int,
    _ whenNaN: UnsafePointer<Double>, _ whenZero: UnsafePointer<Double>
  ) {
    for feature in 0..<features {
      let value = row[feature]
      let isNumber = value == value
      let nan = whenNaN[feature]
      let zero = whenZero[feature]
      output[feature] = abs(value) > zeroThreshold ? value : isNumber ? zero : nan
    }
  }

  private static func read(_ value: Double, _ mode: Mode) -> Double {
    switch mode {
    case .none: value.isNaN ? 0 : flushed(value)
    case .zero: abs(value) > zeroThreshold ? value : .nan
    case .nan: flushed(value)
    case .category: category(value)
    }
  }

  /// The value as a 32-bit integer; what does not fit becomes -1, as everything negative, which no set has.
  private static func category(_ value: Double) -> Double {
    if value.isNaN { return value }
    guard value > -1, value < 0x1p31 else { return -1 }
    // Without the sign that a value just below zero leaves.
    return value.rounded(.towardZero) + 0
  }
}
