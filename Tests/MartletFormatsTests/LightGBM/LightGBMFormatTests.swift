import MartletCore
import MartletEngine
import Testing

@testable import MartletFormats

@Suite("LightGBM's text")
struct LightGBMFormatTests {
  /// The first output that is not a label, for rows of numbers.
  private func values(_ text: String, _ rows: [[Double]]) throws -> [Double] {
    let plan = try LightGBMText.plan(text).plan
    let tile = Tile(signature: plan.signature, capacity: rows.count)
    let input = tile.input(0).assumingMemoryBound(to: Double.self)
    for (index, value) in rows.joined().enumerated() { input[index] = value }
    tile.rows = rows.count
    try plan.score(tile, rows: 0..<rows.count, scratch: plan.makeScratch())
    let index = try #require(plan.signature.outputs.firstIndex { $0.role != .label })
    let width = plan.signature.outputs[index].width
    let output = tile.output(index).assumingMemoryBound(to: Double.self)
    return (0..<(rows.count * width)).map { output[$0] }
  }

  @Test("columns have the file's names and may be missing; the regressor has one value")
  func signature() throws {
    let model = try LightGBMText.plan(LightGBMText.small)
    #expect(model.format == "lightgbm")
    let signature = model.plan.signature
    #expect(signature.columns.map(\.name) == ["width", "height", "kind"])
    #expect(signature.columns.allSatisfy { $0.type == .float64 && $0.missingAllowed })
    #expect(signature.outputs.map(\.name) == ["value"])
    #expect(signature.outputs[0].role == .value && signature.outputs[0].type == .float64)
  }

  @Test("missing values, zeros and categories go where each node says")
  func decisions() throws {
    let rows: [[Double]] = [
      // NaN is missing for the first node and goes left; at the second zero is missing and goes right.
      [.nan, -1, 0], [2.5, -1, 0], [2.5, 0, 0], [2.5, .nan, 0], [2.5, -1e-36, 0], [2.5, (-1.0).nextUp, 0],
      // Categories 1 and 40 are in the set; a fraction is cut off, what is negative or unknown is in no set.
      [3, 0, 1], [3, 0, 40.9], [3, 0, 0], [3, 0, -1], [3, 0, .nan], [3, 0, .infinity], [3, 0, 1e300], [3, 0, 41],
    ]
    let expected = [0.125, 0.125, 100, 100, 100, 100, 10, 10, 1000.5, 1000.5, 1000.5, 1000.5, 1000.5, 1000.5]
    #expect(try values(LightGBMText.small, rows) == expected.map { $0 + 0.25 })
    // The same feature read in two ways: NaN is 0 for the first node, and missing for the second.
    let mixed = LightGBMText.small("decision_type=10 4 1", "decision_type=0 8 1")
      .replacing("split_feature=0 1 2", with: "split_feature=0 0 2")
    #expect(try values(mixed, [[.nan, 0, 1], [-1, 0, 1], [-0.5, 0, 1]]) == [100.25, 0.375, 100.25])
  }

  @Test("objectives turn margins into what the library predicts")
  func objectives() throws {
    let row = [[2.5, -1, 0.0]]
    func value(_ objective: String) throws -> [Double] {
      try values(LightGBMText.small("objective=regression", objective), row)
    }
    #expect(try value("objective=regression sqrt") == [0.140625])
    #expect(try value("objective=huber sqrt") == [0.375])
    #expect(try value("objective=lambdarank") == [0.375])
    #expect(try value("objective=tweedie") == [1.4549914146182013])
    #expect(try value("average_output") == [0.1875])
    let binary = try value("objective=binary sigmoid:2")
    #expect(binary[1] == 0.679178699175393 && binary[0] == 1 - binary[1])
    let classifier = try LightGBMText.plan(LightGBMText.small("objective=regression", "objective=binary sigmoid:1"))
    #expect(classifier.plan.signature.outputs.map(\.name) == ["label", "probabilities"])
    #expect(classifier.plan.signature.outputs.map(\.role) == [.label, .probability])
    #expect(classifier.plan.signature.outputs[1].classes == .integer([0, 1]))
    let several = LightGBMText.small("num_tree_per_iteration=1", "num_tree_per_iteration=2")
      .replacing("objective=regression", with: "objective=multiclass num_class:2")
    let probabilities = try values(several, row)
    #expect(probabilities.count == 2 && probabilities[0] < probabilities[1])
  }

  @Test("a list of pandas makes a column of texts or numbers with its categories")
  func pandas() throws {
    func model(_ list: String) throws -> ModelPlan {
      try LightGBMText.plan(LightGBMText.small("pandas_categorical:null", "pandas_categorical:\(list)")).plan
    }
    let texts = try model(#"[["round", "\u00fcber", "flat"]]"#)
    #expect(texts.signature.inputs.map(\.name) == ["features", "kind"])
    let column = try #require(texts.signature.columns.first { $0.name == "kind" })
    #expect(column.type == .text && column.missingAllowed)
    #expect(column.categories == .text(["round", "über", "flat"]))
    let tile = Tile(signature: texts.signature, capacity: 4)
    for row in 0..<4 {
      tile.input(0).assumingMemoryBound(to: Double.self)[2 * row] = 3
      var text = ["über", "flat", "oval", ""][row]
      let ref = text.withUTF8 { tile.texts.store(UnsafeRawBufferPointer($0)) }
      tile.input(1).assumingMemoryBound(to: TextRef.self)[row] = ref
    }
    tile.rows = 4
    try texts.score(tile, rows: 0..<4, scratch: texts.makeScratch())
    let output = tile.output(0).assumingMemoryBound(to: Double.self)
    #expect((0..<4).map { output[$0] } == [10.25, 1000.75, 1000.75, 1000.75])
    // The same where texts become numbers as they are read.
    let coded = Tile(plan: texts, capacity: 4)
    #expect(coded.coding != nil && coded.stride(1) == 2)
    let target = TextTarget(coded, input: 1, firstRow: 0)
    for row in 0..<4 {
      coded.input(0).assumingMemoryBound(to: Double.self)[2 * row] = 3
      var text = ["über", "flat", "oval", ""][row]
      #expect(text.withUTF8 { target.store(UnsafeRawBufferPointer($0), at: row) })
    }
    coded.rows = 4
    try texts.score(coded, rows: 0..<4, scratch: texts.makeScratch())
    #expect((0..<4).map { coded.output(0).assumingMemoryBound(to: Double.self)[$0] } == (0..<4).map { output[$0] })

    let numbers = try model("[[70, 5]]")
    #expect(numbers.signature.columns[2].categories == .integer([70, 5]))
    let text = LightGBMText.small("pandas_categorical:null", "pandas_categorical:[[70, 5]]")
    #expect(try values(text, [[3, 0, 5], [3, 0, 70], [3, 0, 1]]) == [10.25, 1000.75, 1000.75])
    // A list more than there are categorical features: which belongs to which is not known.
    #expect(try model("[[70, 5], [1]]").signature.columns[2].categories == nil)
  }

  private typealias ModelPlan = any ScoringPlan

  @Test("margins and leaves are outputs for those who ask for them")
  func furtherOutputs() throws {
    let bytes = Array(LightGBMText.small("objective=regression", "objective=binary sigmoid:1").utf8)
    let plan = try bytes.withUnsafeBytes { try ModelLoader.load(bytes: $0, furtherOutputs: ["leaf", "margin"]) }.plan
    #expect(plan.signature.outputs.map(\.name) == ["label", "probabilities", "leaf", "margin"])
    let tile = Tile(signature: plan.signature, capacity: 1)
    for (index, value) in [2.5, 0, 7.0].enumerated() {
      tile.input(0).assumingMemoryBound(to: Double.self)[index] = value
    }
    tile.rows = 1
    try plan.score(tile, rows: 0..<1, scratch: plan.makeScratch())
    #expect((0..<2).map { tile.output(2).assumingMemoryBound(to: Int64.self)[$0] } == [2, 0])
    #expect(tile.output(3).assumingMemoryBound(to: Double.self)[0] == 100.25)
  }

  @Test("linear leaves add coefficient by coefficient, and give their plain value where a number is missing")
  func linear() throws {
    let linear = """
      is_linear=1
      leaf_const=1 2 3 4
      num_features=2 0 1 0
      leaf_features=0 1   1 
      leaf_coeff=0.5 0.25   -1 
      shrinkage=1
      """
    let text = LightGBMText.small("is_linear=0\nshrinkage=1\n", linear + "\n")
    let rows: [[Double]] = [[2, -4, 0], [.nan, -4, 0], [2, 3, 0], [3, 0, 1], [3, .nan, 0]]
    #expect(try values(text, rows) == [1 + 1 - 1, 0.125, 0, 2, 4].map { $0 + 0.25 })
    #expect(
      LightGBMText.refusal(text.replacing("num_features=2 0 1 0", with: "num_features=2 0 1 1"))
        == "LightGBM file, tree 0, leaf_features: has 3 values, expected more")
  }

  @Test("numbers are the nearest doubles, and parameters those of the library's short reader")
  func numbers() {
    func double(_ text: String) -> Double? { Array(text.utf8).withUnsafeBytes { LightGBMNumber.double($0) } }
    #expect(double("1.0000000180025095e-35") == 1.0000000180025095e-35)
    #expect(double("-0.16890027447881714") == -0.16890027447881714)
    #expect(double("5e-324") == .leastNonzeroMagnitude)
    for text in ["", "nan", "inf", "0x1p3", "1e999", "1 ", "1,5", "--1", "1e", "0123456789".repeated(7)] {
      #expect(double(text) == nil, "\(text)")
    }
    func parameter(_ text: String) -> Double? { Array(text.utf8).withUnsafeBytes { LightGBMNumber.parameter($0) } }
    #expect(parameter("1.7") == 1.7 && parameter("1e-2") == 0.01 && parameter("3") == 3)
    #expect(parameter("") == nil && parameter("x") == nil && parameter("1x") == nil)
  }

  @Test("what does not hold is refused with tree, key, what came and what was expected")
  func refusals() {
    func refusal(_ old: String, _ new: String) -> String {
      LightGBMText.refusal(LightGBMText.small(old, new))?.replacing("LightGBM file, ", with: "") ?? "accepted"
    }
    #expect(LightGBMText.refusal(LightGBMText.small) == nil)
    #expect(LightGBMText.refusal(LightGBMText.small.replacing("\n", with: "\r\n")) == nil)
    #expect(refusal("version=v4", "version=v5") == "header: version is 'v5', supported are v3 and v4")
    #expect(refusal("max_feature_idx=2", "max_feature_idx=x").contains("max_feature_idx is 'x'"))
    #expect(refusal("width height kind", "width height").contains("feature_names has 2 names, expected 3"))
    #expect(refusal("width height kind", "width height kind x").contains("has more names, expected 3"))
    #expect(refusal("objective=regression", "objective=guess").contains("objective is 'guess', expected regression"))
    #expect(refusal("objective=regression", "objective=multiclass").contains("does not go with 1 trees"))
    #expect(refusal("tree_sizes=400 300", "tree_sizes=400").contains("there are 2 trees, expected 1"))
    #expect(refusal("Tree=1", "Tree=2") == "line 30: the tree is called '2', expected 1")
    #expect(refusal("num_leaves=4", "num_leaves=0").hasPrefix("tree 0, num_leaves: is '0'"))
    #expect(refusal("num_leaves=4", "num_leaves=2000000000").contains("more than a file of this size"))
    #expect(refusal("num_leaves=4", "num_leaves=5") == "tree 0, split_feature: has 3 values, expected 4")
    #expect(refusal("num_leaves=4", "num_leaves=3").contains("right_child: value 0 is '2'"))
    #expect(
      refusal("split_feature=0 1 2", "split_feature=0 3 2")
        == "tree 0, split_feature: value 1 is '3', expected a whole number from 0 to 2")
    #expect(
      refusal("threshold=2.5 -1 0", "threshold=2.5 nan 0")
        == "tree 0, threshold: value 1 is 'nan', expected a number")
    #expect(refusal("threshold=2.5 -1 0", "threshold=2.5 inf 0") == "accepted")
    #expect(refusal("threshold=2.5 -1 0", "threshold=2.5 -1 1").contains("expected a set from 0 to 0"))
    #expect(refusal("decision_type=10 4 1", "decision_type=10 12 1").contains("decision_type: value 1 is '12'"))
    #expect(refusal("left_child=1 -1 -2", "left_child=1 -1 -5").contains("left_child: value 2 is '-5'"))
    #expect(refusal("left_child=1 -1 -2", "left_child=1 1 -2").contains("reach test 1 twice"))
    #expect(refusal("left_child=1 -1 -2", "left_child=1 0 -2").contains("reach test 0 twice"))
    #expect(refusal("right_child=2 -3 -4", "right_child=-1 -3 -4").contains("reach leaf 0 twice"))
    #expect(refusal("leaf_value=0.125", "leaf_value=-inf") == "accepted")
    #expect(refusal("leaf_value=0.125", "leaf_value=1e999").contains("leaf_value: value 0 is '1e999'"))
    #expect(refusal("leaf_value=0.125 ", "leaf_value=").contains("leaf_value: has 3 values, expected 4"))
    #expect(refusal("leaf_value=0.125", "leaf_value=1 0.125").contains("has more values than the 4 expected"))
    #expect(refusal("cat_boundaries=0 2", "cat_boundaries=0 3").contains("cat_threshold: has 2 values"))
    #expect(refusal("cat_boundaries=0 2", "cat_boundaries=0 67108865").contains("cat_boundaries: value 1"))
    #expect(refusal("num_cat=1", "num_cat=2").contains("cat_boundaries: has 2 values, expected 3"))
    #expect(refusal("shrinkage=1\n", "shrinkage=1\nleaf_value=1\n").contains("'leaf_value' is there twice"))
    #expect(refusal("end of trees", "end of tres").contains("there is 'end of tres' behind tree 1"))
    #expect(refusal("pandas_categorical:null", #"pandas_categorical:[["a", 1]]"#).contains("mixes texts and numbers"))
    #expect(refusal("pandas_categorical:null", #"pandas_categorical:[["a", "a"]]"#).contains("a category twice"))
    #expect(refusal("pandas_categorical:null", #"pandas_categorical:[["a"#).contains("a text with its closing quote"))
  }
}

extension String {
  fileprivate func repeated(_ count: Int) -> String { String(repeating: self, count: count) }
}
