import CKernels
import MartletCore
import Testing

@testable import MartletEngine

/// Trees on the codes of categories, against the same trees on what encoders make of them.
@Suite("Trees behind encoders")
struct CategoryTreesTests {
  // MARK: Ensembles

  /// How the features of an ensemble are made: some are columns, others functions of a category.
  private struct Encoder<Value: TreeValue> {
    let rows: CategoryRows
    /// By feature the value of each code; empty for a column.
    private let values: [[Value]]
    private let codes: [Int]

    init(_ made: RandomEnsemble<Value>, features: Int, hasMissing: Bool, _ random: inout SplitMix) {
      let columns = Int.random(in: 1...4, using: &random)
      let codes = (0..<columns).map { _ in
        [1, 2, 3, 7, 40, 255, 256, 257, 300].randomElement(using: &random)!
      }
      self.codes = codes
      let drawn = made.rows(300, stride: features, hasMissing: hasMissing, &random)
      var numbers = 0
      var owners: [Int] = []
      let values = (0..<features).map { feature -> [Value] in
        guard random.chance(0.7) else {
          owners.append(-1)
          numbers += 1
          return []
        }
        let owner = Int.random(in: 0..<columns, using: &random)
        owners.append(owner)
        let level = { (index: Int) in drawn[index * features + feature] }
        switch Int.random(in: 0..<4, using: &random) {
        case 0, 1:
          // A flag, scaled or not.
          let own = Int.random(in: 0..<codes[owner], using: &random)
          let (value, other) = random.chance(0.5) ? (Value(1), Value(0)) : (level(0), level(1))
          return (0..<codes[owner]).map { $0 == own ? value : other }
        case 2: return (0..<codes[owner]).map { Value($0 - 1) }
        default: return (0..<codes[owner]).map(level)
        }
      }
      var number = -1
      let sources = values.indices.map { feature -> CategoryRows.Source in
        guard owners[feature] >= 0 else {
          number += 1
          return .number(number)
        }
        let given = values[feature].enumerated().map { code, value in
          (code: code, bits: Value.self == Float.self ? UInt64(Float(value).bitPattern) : Double(value).bitPattern)
        }
        return .category(
          column: numbers + owners[feature], codes: codes[owners[feature]], values: given.filter { $0.bits != 0 })
      }
      self.values = values
      rows = CategoryRows(width: numbers + columns, isSingle: Value.self == Float.self, sources: sources)
    }

    /// Random rows of codes, and the rows of features that they stand for.
    func make(
      _ count: Int, _ made: RandomEnsemble<Value>, hasMissing: Bool, _ random: inout SplitMix
    ) -> (codes: [Value], features: [Value]) {
      let features = values.count
      var full = made.rows(count, stride: features, hasMissing: hasMissing, &random)
      var short = [Value](repeating: 0, count: count * rows.width)
      for row in 0..<count {
        let own = codes.map { Int.random(in: 0..<$0, using: &random) }
        for (index, code) in own.enumerated() { short[(row + 1) * rows.width - own.count + index] = Value(code) }
        for (feature, source) in rows.sources.enumerated() {
          switch source {
          case .number(let column): short[row * rows.width + column] = full[row * features + feature]
          case .category(let column, _, _):
            full[row * features + feature] = values[feature][own[column - rows.width + own.count]]
          }
        }
      }
      return (short, full)
    }
  }

  private func plans<Value: TreeValue>(_ ensemble: TreeEnsemble<Value>) -> [(name: String, plan: TreePlan<Value>)] {
    let source = PlanSource(ensemble, .sum)
    var plans: [(String, TreePlan<Value>?)] = [
      ("walk", WalkPlan(ensemble, .sum)), ("interleaved", InterleavedPlan(ensemble, .sum)),
    ]
    for level in 0...martlet_cpu_highest() {
      plans.append(("select \(level)", SelectPlan(source, level: level)))
      plans.append(("rows \(level)", RowPlan(source, level: level)))
      plans.append(("wide rows \(level)", RowPlan(source, level: level, width: .word)))
      plans.append(("planes \(level)", PlanePlan(source, level: level)))
      plans.append(("gather \(level)", GatherPlan(source, level: level)))
    }
    return plans.compactMap { name, plan in plan.map { (name, $0) } }
  }

  private func compare<Value: TreeValue>(_: Value.Type, seed: Int) -> Set<String> {
    var random = SplitMix(UInt64(seed) &* 0x9e37 &+ 5)
    var shape = EnsembleShape.random(&random)
    shape.depth = [1, 2, 4, 6, 8, 14].randomElement(using: &random)!
    if shape.depth > 8 { shape.leafChance = 0.3 }
    shape.trees = min(shape.trees, 10)
    shape.features = [1, 3, 20, 70, 300].randomElement(using: &random)!
    if random.chance(0.7) { shape.weightsOfLeaf = 1 }
    if random.chance(0.7) { shape.targets = 1 }
    let made = RandomEnsemble<Value>(shape, &random)
    let hasMissing = random.chance(0.5)
    let encoder = Encoder(made, features: shape.features, hasMissing: hasMissing, &random)
    guard let coded = made.ensemble.reading(encoder.rows) else {
      Issue.record("seed \(seed): the trees do not read codes")
      return []
    }
    #expect(coded.rowWidth == encoder.rows.width)
    let plans = plans(coded)
    for count in [1, 3, 8, 64, 131] {
      let (codes, features) = encoder.make(count, made, hasMissing: hasMissing, &random)
      let targets = coded.targets
      func collect(_ body: (TreeScores<Value>) -> Void) -> [UInt64] {
        var values = [Value](repeating: 0, count: count * targets)
        var isScored = [Bool](repeating: coded.scoresEveryTarget, count: values.count)
        values.withUnsafeMutableBufferPointer { values in
          isScored.withUnsafeMutableBufferPointer { isScored in
            body(TreeScores(values: values.baseAddress!, isScored: isScored.baseAddress!))
          }
        }
        return zip(values, isScored).map { Double($0).bitPattern ^ (targets == 1 || $1 ? 0 : 1) }
      }
      let expected = collect { scores in
        made.ensemble.aggregate(.sum, features, stride: shape.features, count: count, into: scores)
      }
      // Memory of the exact size, so that a sanitizer sees what is read behind the last row.
      let input = UnsafeMutablePointer<Value>.allocate(capacity: codes.count)
      input.initialize(from: codes, count: codes.count)
      defer { input.deallocate() }
      for (name, plan) in plans {
        let temporary = UnsafeMutableRawPointer.allocate(
          byteCount: plan.temporaryBytes(rows: count) + 64, alignment: 64)
        defer { temporary.deallocate() }
        let found = collect { scores in
          plan.add(input, stride: encoder.rows.width, count: count, to: scores, temporary: temporary)
        }
        let place = expected.indices.first { expected[$0] != found[$0] }
        #expect(place == nil, "seed \(seed), \(name), \(count) rows: another score at \(place ?? 0)")
      }
    }
    return Set(plans.map(\.name))
  }

  @Test("trees on codes give the bits of trees on features, in every plan kind and variant", arguments: 0..<8)
  func equal(_ part: Int) {
    var taken: Set<String> = []
    for index in 0..<20 {
      taken.formUnion(
        index % 2 == 0 ? compare(Float.self, seed: part * 20 + index) : compare(Double.self, seed: part * 20 + index))
    }
    let highest = Int(martlet_cpu_highest())
    #expect(taken.count == 2 + 4 * (highest + 1) + max(0, highest - Int(MARTLET_CPU_AVX2) + 1))
  }

  @Test("a feature that one category alone has another value of is a flag, others are tables")
  func flags() {
    var features = CategoryFeatures<Float>(rowWidth: 3)
    #expect(features.append(column: 2, codes: 4, [(1, 2)]) == 3)
    #expect(features.append(column: 2, codes: 4, [(0, 5), (2, 5), (3, 5)]) == 4)
    #expect(features.append(column: 2, codes: 4, [(0, 5), (1, 5), (2, 7), (3, 5)]) == 5)
    #expect(features.append(column: 2, codes: 4, [(0, .nan), (1, .nan), (2, 7), (3, .nan)]) == 6)
    #expect(features.append(column: 2, codes: 4, []) == 7)
    #expect(features.append(column: 2, codes: 1, [(0, 9)]) == 8)
    #expect(features.append(column: 2, codes: 2, [(0, 9), (1, 8)]) == 9)
    #expect(features.features.allSatisfy { $0.isFlag })
    #expect(features.append(column: 2, codes: 4, [(0, 5), (1, 6), (2, 7), (3, 5)]) == 10)
    #expect(features.append(column: 2, codes: 4, [(0, 5), (1, 6)]) == 11)
    #expect(features.append(column: 2, codes: 4, [(0, 1), (1, 2), (2, 3)]) == 12)
    #expect(features.features.suffix(3).allSatisfy { !$0.isFlag })
    let wanted: [[Float]] = [
      [0, 2, 0, 0], [5, 0, 5, 5], [5, 5, 7, 5], [.nan, .nan, 7, .nan], [0, 0, 0, 0], [9], [9, 8], [5, 6, 7, 5],
      [5, 6, 0, 0], [1, 2, 3, 0],
    ]
    for (index, values) in wanted.enumerated() {
      for (code, value) in values.enumerated() {
        let found = features.value(3 + index, [0, 0, Float(code)])
        #expect(found == value || found.isNaN && value.isNaN, "feature \(3 + index), code \(code)")
      }
    }
  }

  // MARK: Pipelines

  private func plan(_ pipeline: RandomPipeline, rewrites: Bool, kind: String? = nil) throws -> GraphPlan {
    try GraphPlanner.plan(
      pipeline.graph, featureNames: nil,
      options: PlanningOptions(measuringNanoseconds: 0, treePlan: kind, rewritesSteps: rewrites))
  }

  private static func pipeline(_ seed: Int) -> RandomPipeline {
    RandomPipeline(seed: UInt64(seed) &* 0x7654_3217 &+ 3, hasTrees: true)
  }

  @Test("a random pipeline before trees gives the bits of its operators, in every plan kind", arguments: 0..<96)
  func pipelines(_ seed: Int) throws {
    let pipeline = Self.pipeline(seed)
    let plain = try plan(pipeline, rewrites: false, kind: "walk")
    let rows = 140
    let expected = try plain.score(rows: rows, in: rows, seed: UInt64(seed), isCoded: false)
    for kind in [nil] + TreePlanKinds.names.map(Optional.some) {
      let rewritten = try plan(pipeline, rewrites: true, kind: kind)
      for (chunk, isCoded) in [(rows, true), (7, false), (64, true)] {
        let found = try rewritten.score(rows: rows, in: chunk, seed: UInt64(seed), isCoded: isCoded)
        #expect(found == expected, "\(kind ?? "the first that fits") with \(chunk) rows at once")
      }
    }
  }

  @Test("behind nearly all random pipelines trees read codes, and no features of categories are laid out")
  func rewritten() throws {
    let plans = try (0..<60).map { try plan(Self.pipeline($0), rewrites: true) }
    let coded = plans.filter { $0.summary.contains("of categories") || $0.summary.contains("of a category") }
    #expect(coded.count > 40)
    let laidOut = coded.filter { $0.summary.contains("feature") }
    #expect(laidOut.count < 6)
  }

  // MARK: One pipeline

  /// One-hot texts and a number before trees; `zeros`: whether unknown texts are zeros or refused.
  private func graph(zeros: Int64, categories: Int = 30) -> Graph {
    let words = (0..<categories).map { "word \($0)" }
    return Graph(
      inputs: [
        Graph.Value(name: "word", type: .text, shape: [nil, 1]),
        Graph.Value(name: "x", type: .float32, shape: [nil, 1]),
      ],
      outputs: [Graph.Value(name: "y", type: nil, shape: nil)],
      nodes: [
        .exported(
          "OneHotEncoder", ["word"], ["hot"], ml: true,
          ["cats_strings": .texts(ConstantTensor(strings: words)), "zeros": .integer(zeros)]),
        .exported("Reshape", ["hot", "shape"], ["flat"], ml: false),
        .exported("Concat", ["flat", "x"], ["features"], ml: false, ["axis": .integer(1)]),
        // Word 3, or else x above 1.
        .exported(
          "TreeEnsembleRegressor", ["features"], ["y"], ml: true,
          [
            "nodes_treeids": .integers([0, 0, 0, 0, 0]), "nodes_nodeids": .integers([0, 1, 2, 3, 4]),
            "nodes_featureids": .integers([3, Int64(categories), 0, 0, 0]),
            "nodes_modes": .texts(ConstantTensor(strings: ["BRANCH_LEQ", "BRANCH_LEQ", "LEAF", "LEAF", "LEAF"])),
            "nodes_values": .floats([0.5, 1, 0, 0, 0]), "nodes_truenodeids": .integers([1, 2, 0, 0, 0]),
            "nodes_falsenodeids": .integers([4, 3, 0, 0, 0]), "target_treeids": .integers([0, 0, 0]),
            "target_nodeids": .integers([2, 3, 4]), "target_ids": .integers([0, 0, 0]),
            "target_weights": .floats([10, 20, 30]), "n_targets": .integer(1),
          ]),
      ],
      initializers: ["shape": ConstantTensor(.int64, Shape(2), [Int64(-1), Int64(categories)])])
  }

  @Test(
    "rows before trees have a number for each column, whatever the number of categories", arguments: [2, 30, 4_000])
  func width(_ categories: Int) throws {
    let plan = try GraphPlanner.plan(
      graph(zeros: 1, categories: max(4, categories)), featureNames: nil, options: PlanningOptions())
    #expect(plan.steps.count == 2)
    #expect(plan.summary.contains("rows of 1 number and 1 code of a category"), "\(plan.summary)")
    #expect(plan.rowsAtOnce == 512)
    #expect(plan.ensembles.count == 1 && plan.ensembles[0].bytes < 32 << 10)
    for isCoded in [false, true] {
      let scores = try plan.score(["word 3", "word 2", "?", "word 3", ""], [0, 2, 1, 5, 9], isCoded: isCoded)
      #expect(scores == [30, 20, 10, 30, 20])
    }
  }

  @Test("features that something else reads too are laid out")
  func echoed() throws {
    var echo = graph(zeros: 1)
    echo.outputs.append(Graph.Value(name: "features", type: nil, shape: nil))
    let plan = try GraphPlanner.plan(echo, featureNames: nil, options: PlanningOptions(measuringNanoseconds: 0))
    #expect(plan.summary.contains("rows of 1 number and 30 features of categories"), "\(plan.summary)")
    #expect(try plan.score(["word 3", "?"], [0, 2], isCoded: false) == [30, 20])
  }

  @Test("a refused category is refused with the operator's own words")
  func refused() throws {
    for rewrites in [true, false] {
      let plan = try GraphPlanner.plan(
        graph(zeros: 0), featureNames: nil, options: PlanningOptions(measuringNanoseconds: 0, rewritesSteps: rewrites))
      #expect(plan.summary.contains("code of a category") == rewrites)
      #expect(try plan.score(["word 3", "word 1"], [1, 1], isCoded: rewrites) == [30, 10])
      let error = #expect(throws: Status.self) { try plan.score(["word 3", "?"], [1, 1], isCoded: rewrites) }
      #expect(error?.code == .invalidArgument)
      #expect(
        error?.message.contains("OneHotEncoder node 'onehotencoder': element 1 of input 0 is in no category") == true)
    }
  }

  @Test("numbers of a booster's categories are codes, missing ones go their way, unknown ones are refused")
  func booster() throws {
    var ensemble = NativeEnsemble(precision: .single, outputs: 1, startsAt: [0])
    ensemble.nodes = [
      NativeEnsemble.Node(
        test: .category, feature: 0, missingGoesTrue: true, value: 0, whenTrue: 1, whenFalse: 2),
      NativeEnsemble.Node(test: .leaf, feature: 0, missingGoesTrue: false, value: 1, whenTrue: 0, whenFalse: 0),
      NativeEnsemble.Node(test: .leaf, feature: 0, missingGoesTrue: false, value: 2, whenTrue: 1, whenFalse: 0),
    ]
    ensemble.roots = [0]
    ensemble.outputOfTree = [0]
    ensemble.categories = [[1, 2]]
    let graph = Graph(
      inputs: [
        Graph.Value(name: "word", type: .text, shape: [nil, 1]),
        Graph.Value(name: "x", type: .float32, shape: [nil, 1]),
      ],
      outputs: [Graph.Value(name: "y", type: nil, shape: nil)],
      nodes: [
        GraphNode(
          opType: "CategoryCode", domain: "ai.martlet", opset: 1, inputs: ["word"], outputs: ["code"],
          attributes: [
            "categories": .texts(ConstantTensor(strings: ["a", "b", "c"])), "column": .text("word"),
          ]),
        GraphNode(
          opType: "Concat", opset: 13, inputs: ["code", "x"], outputs: ["features"],
          attributes: ["axis": .integer(1)]),
        GraphNode(
          opType: "TreeEnsemble", domain: "ai.martlet", opset: 1, inputs: ["features"], outputs: ["y"],
          attributes: ["ensemble": .ensemble(ensemble)]),
      ])
    for kind in [nil] + TreePlanKinds.names.map(Optional.some) {
      for rewrites in [true, false] {
        let plan = try GraphPlanner.plan(
          graph, featureNames: nil,
          options: PlanningOptions(measuringNanoseconds: 0, treePlan: kind, rewritesSteps: rewrites))
        // Who refuses a text has to say which.
        #expect(plan.textCoding == nil)
        #expect(plan.summary.contains("code of a category") == rewrites)
        let scores = try plan.score(["b", "a", "", "c"], [0, 0, 0, 0], isCoded: false)
        #expect(scores == [1, 2, 1, 1])
        let error = #expect(throws: Status.self) { try plan.score(["b", "?"], [0, 0], isCoded: false) }
        #expect(error?.code == .invalidArgument)
        #expect(error?.message.contains("column 'word' has '?' in row 1") == true)
        #expect(error?.message.contains("which is none of its categories") == true)
      }
    }
  }

  @Test("trees that are planned late are reported once, in the order of the file, and measured")
  func reports() throws {
    var two = graph(zeros: 1)
    var other = two.nodes[3]
    other.name = "second"
    other.outputs = ["z"]
    two.nodes.append(other)
    two.outputs.append(Graph.Value(name: "z", type: nil, shape: nil))
    // Time enough for a build for debugging on a busy machine.
    let options = PlanningOptions(measuringNanoseconds: 5_000_000_000)
    let plan = try GraphPlanner.plan(two, featureNames: nil, options: options)
    #expect(plan.ensembles.map { $0.label.contains("second") } == [false, true])
    #expect(plan.ensembles.allSatisfy { $0.cost != nil })
    #expect(plan.summary.contains("rows of 1 number and 1 code of a category"))
  }
}
