import MartletCore
import MartletEngine
import Testing

@testable import MartletFormats

@Suite("XGBoost files")
struct XGBoostFormatTests {
  private typealias Document = XGBoostDocument

  /// Scores rows of single-precision numbers, one after the other, and returns an output.
  private func score(_ loaded: LoadedModel, _ rows: [[Float]], _ output: String) throws -> [Float] {
    let signature = loaded.plan.signature
    let tile = Tile(signature: signature, capacity: rows.count)
    for (index, row) in rows.enumerated() {
      for (column, value) in zip(signature.columns, row) {
        let width = signature.inputs[column.input].width
        tile.input(column.input).assumingMemoryBound(to: Float.self)[index * width + column.offset] = value
      }
    }
    tile.rows = rows.count
    try loaded.plan.score(tile, rows: 0..<rows.count, scratch: loaded.plan.makeScratch())
    let index = try #require(signature.outputs.firstIndex { $0.name == output })
    let start = tile.output(index)
    return (0..<(rows.count * signature.outputs[index].width)).map {
      signature.outputs[index].type == .int64
        ? Float(start.assumingMemoryBound(to: Int64.self)[$0]) : start.assumingMemoryBound(to: Float.self)[$0]
    }
  }

  @Test("JSON and UBJSON give the same columns, outputs and values")
  func bothForms() throws {
    for bytes in [Document.model.json, Document.model.ubj] {
      let loaded = try Document.load(bytes, outputs: ["leaf", "margin"])
      #expect(loaded.format == "xgboost")
      #expect(loaded.producer == "xgboost 3.2.0")
      #expect(loaded.metadata["note"] == "ä \"note\"")
      let signature = loaded.plan.signature
      #expect(signature.columns.map(\.name) == ["age", "amount", "kind"])
      #expect(signature.columns.allSatisfy { $0.missingAllowed && $0.type == .float32 })
      #expect(signature.outputs.map(\.name) == ["value", "leaf", "margin"])
      #expect(signature.outputs.map(\.role) == [.value, .other, .other])
      // Left below the threshold; amount and kind decide on the right, where a listed category goes right.
      let rows: [[Float]] = [[0, 0, 0], [0.5, 1.5, 1], [0.5, 1, 7], [.nan, 0, 0], [1, .nan, .nan]]
      #expect(try score(loaded, rows, "value") == [0.75, 4.25, -0.75, 0.75, 4.25])
      #expect(try score(loaded, rows, "leaf") == [1, 1, 4, 4, 3, 3, 1, 1, 4, 4])
    }
  }

  @Test("categories that the file has texts for are text columns, and others are refused")
  func categories() throws {
    for bytes in [Document.textModel.json, Document.textModel.ubj] {
      let loaded = try Document.load(bytes)
      let columns = loaded.plan.signature.columns
      #expect(columns.map(\.name) == ["age", "amount", "kind"])
      #expect(columns.map(\.type) == [.float32, .float32, .text])
      #expect(columns[2].categories == .text(["old", "ä", "new"]))
      #expect(columns[2].missingAllowed)
      let tile = Tile(signature: loaded.plan.signature, capacity: 1)
      func value(_ text: StaticString) throws -> Float {
        tile.input(0).assumingMemoryBound(to: Float.self).update(repeating: 1, count: 2)
        tile.input(1).assumingMemoryBound(to: TextRef.self)[0] = TextRef(
          start: text.utf8Start, count: text.utf8CodeUnitCount)
        tile.rows = 1
        try loaded.plan.score(tile, rows: 0..<1, scratch: loaded.plan.makeScratch())
        return tile.output(0).assumingMemoryBound(to: Float.self)[0]
      }
      #expect(try value("old") == -0.75)
      #expect(try value("ä") == 1.75)
      #expect(try value("new") == 1.75)
      #expect(try value("") == 1.75)
      #expect {
        _ = try value("newer")
      } throws: { error in
        (error as? Status)?.code == .invalidArgument && "\(error)".contains("column 'kind' has 'newer'")
      }
    }
  }

  @Test("a number may stand for a missing value, beside NaN")
  func missingValue() throws {
    let loaded = try Document.load(Document.model.ubj, missingValue: -999)
    #expect(loaded.plan.signature.columns.allSatisfy { $0.missingAllowed })
    #expect(try score(loaded, [[-999, 0, 0], [.nan, 0, 0], [1, -999, 1]], "value") == [0.75, 0.75, 4.25])
    #expect(try score(Document.load(Document.model.ubj), [[1, -999, 1]], "value") == [1.75])
  }

  @Test("outputs beyond the prediction are there for those who ask, by their name")
  func furtherOutputs() throws {
    #expect(try Document.load(Document.model.ubj).plan.signature.outputs.map(\.name) == ["value"])
    let message = Document.refusal(Document.model.ubj, outputs: ["shap"]) ?? ""
    #expect(message.contains("'shap' is asked for") && message.contains("margin, leaf"))
  }

  @Test("classifiers tell labels, classes and probabilities, and begin at the base score's margin")
  func classifier() throws {
    let binary = Document.model.with("learner.objective.name", .text("binary:logistic"))
    let loaded = try Document.load(binary.json, outputs: ["margin"])
    let outputs = loaded.plan.signature.outputs
    #expect(outputs.map(\.name) == ["label", "probabilities", "margin"])
    #expect(outputs.map(\.role) == [.label, .probability, .other])
    #expect(outputs[0].classes == .integer([0, 1]) && outputs[1].classes == .integer([0, 1]))
    let margin = try score(loaded, [[0, 0, 0]], "margin")[0]
    #expect(abs(margin - (0.5 - 1.098612)) < 1e-6)
    #expect(try score(loaded, [[0, 0, 0], [0.5, 1.5, 1]], "label") == [0, 1])
    let both = try score(loaded, [[0, 0, 0]], "probabilities")
    #expect(both[0] + both[1] == 1 && abs(both[1] - 0.354661) < 1e-5)

    let classes = Document.model.with("learner.objective.name", .text("multi:softprob"))
      .with("learner.learner_model_param.num_class", .text("2"))
      .with("learner.learner_model_param.base_score", .text("[5E-1, 0]"))
      .with("learner.gradient_booster.model.tree_info", .array([.integer(0), .integer(1)]))
    let several = try Document.load(classes.ubj, outputs: ["margin"])
    #expect(several.plan.signature.outputs[1].classes == .integer([0, 1]))
    #expect(try score(several, [[0, 0, 0]], "margin") == [0.75, 0.25])
    #expect(try score(several, [[0, 0, 0]], "label") == [0])
  }

  @Test("leaves may hold a number for each output")
  func vectorLeaves() throws {
    var model = Document.model.with("learner.learner_model_param.num_target", .text("2"))
      .with("learner.learner_model_param.base_score", .text("[1, 2]"))
    for tree in ["learner.gradient_booster.model.trees.0", "learner.gradient_booster.model.trees.1"] {
      model = model.with("\(tree).tree_param.size_leaf_vector", .text("2"))
        .with("\(tree).right_children", .integers([2, 1, 4, 0, 2]))
        .with("\(tree).leaf_weights", .floats([0.5, 0.25, 8, 16, -1, -2]))
    }
    for bytes in [model.json, model.ubj] {
      let loaded = try Document.load(bytes, outputs: ["leaf"])
      #expect(loaded.plan.signature.outputs.map(\.width) == [2, 2])
      #expect(try score(loaded, [[0, 0, 0], [1, 0, 1]], "value") == [17, 34, 0.5, 0.25])
      #expect(try score(loaded, [[0, 0, 0], [1, 0, 1]], "leaf") == [1, 1, 3, 4])
    }
    let tree = "learner.gradient_booster.model.trees.1"
    let far = model.with("\(tree).right_children", .integers([2, 3, 4, 0, 2]))
    #expect(Document.refusal(far.ubj)?.contains("trees[1].right_children[1]: is 3, expected 0 to 2") == true)
    let mixed = model.with("\(tree).tree_param.size_leaf_vector", .text("1"))
    #expect(Document.refusal(mixed.ubj)?.contains("trees[1]: has leaves of 1 numbers, expected 2") == true)
    let shared = model.with("\(tree).right_children", .integers([2, 0, 4, 0, 2]))
    #expect(Document.refusal(shared.ubj)?.contains("trees[1].right_children[3]: is 0") == true)
    let odd = model.with("\(tree).leaf_weights", .floats([1]))
    #expect(Document.refusal(odd.ubj)?.contains("trees[1].leaf_weights: has 1 elements") == true)
  }

  @Test("trees behind the best iteration are left out where the scikit-learn interface saved the file")
  func bestIteration() throws {
    let path = "learner.attributes.scikit_learn"
    let saved = Document.model.with(path, .text("{\"_estimator_type\": \"regressor\"}"))
    #expect(try score(Document.load(Document.model.ubj), [[0, 0, 0]], "value") == [0.75])
    let loaded = try Document.load(saved.ubj, outputs: ["leaf"])
    #expect(try score(loaded, [[0, 0, 0]], "value") == [0.5])
    #expect(try score(loaded, [[0, 0, 0]], "leaf") == [1])
    let old = saved.with("learner.gradient_booster.model.iteration_indptr", nil)
    #expect(try score(Document.load(old.ubj), [[0, 0, 0]], "value") == [0.5])
    let beyond = saved.with("learner.attributes.best_iteration", .text("2"))
    #expect(Document.refusal(beyond.json)?.contains("is 2, but the model has 2 iterations") == true)
  }

  @Test("dropped trees count with their weight, rounded to single precision first")
  func dart() throws {
    let booster = "learner.gradient_booster"
    guard case .object(let learner)? = Document.model.member("learner"),
      let model = Document.object(learner).member("gradient_booster")?.member("model")
    else { return }
    let dart = Document.model.with(
      booster,
      .object([
        ("gbtree", .object([("model", model), ("name", .text("gbtree"))])), ("name", .text("dart")),
        ("weight_drop", .array([.float(0.1), .integer(1)])),
      ]))
    for bytes in [dart.json, dart.ubj] {
      #expect(try score(Document.load(bytes), [[0, 0, 0]], "value") == [0.25 + Float(0.25) * 0.1 + 0.25])
    }
    // The margin of one half is -0, and so are the leaves that the row comes to.
    var zeros = dart.with("learner.objective.name", .text("reg:logistic"))
      .with("learner.learner_model_param.base_score", .text("[5E-1]"))
    for tree in 0..<2 {
      zeros = zeros.with(
        "\(booster).gbtree.model.trees.\(tree).split_conditions", .floats([0.5, -0.0, 1.5, 1, 1]))
    }
    let margin = try score(Document.load(zeros.ubj, outputs: ["margin"]), [[0, 0, 0]], "margin")
    #expect(margin == [0] && margin[0].sign == .plus)
    let short = dart.with("\(booster).weight_drop", .array([.float(1)]))
    #expect(Document.refusal(short.json)?.contains("weight_drop: has 1 elements, expected 2") == true)
  }

  @Test("survival times are exponentials in double precision, rounded, and counts are in single")
  func exponentials() throws {
    // The two differ in the last bit of this one's.
    let margin: Float = 0.6095301
    for (objective, expected) in [("survival:aft", 1.8395667 as Float), ("survival:cox", 1.8395668)] {
      let model = Document.model.with("learner.objective.name", .text(objective))
        .with("learner.learner_model_param.base_score", .text("[1]"))
        .with("learner.gradient_booster.model.trees.0.split_conditions", .floats([0.5, margin, 1.5, 1, 1]))
        .with("learner.gradient_booster.model.trees.1.split_conditions", .floats([0.5, 0, 1.5, 1, 1]))
      #expect(try score(Document.load(model.ubj), [[0, 0, 0]], "value") == [expected])
    }
  }

  @Test("a linear booster adds intercept, base score and features in order, without the missing ones")
  func linear() throws {
    let linear = Document.model.with(
      "learner.gradient_booster",
      .object([
        ("model", .object([("boosted_rounds", .integer(3)), ("weights", .floats([1, 2, 4, 0.5]))])),
        ("name", .text("gblinear")),
      ]))
    for bytes in [linear.json, linear.ubj] {
      let loaded = try Document.load(bytes)
      #expect(loaded.plan.signature.columns.allSatisfy { $0.missingAllowed })
      #expect(try score(loaded, [[1, 1, 1], [.nan, 1, .nan]], "value") == [7.75, 2.75])
    }
    let untrained = linear.with("learner.gradient_booster.model.weights", .floats([]))
      .with("learner.learner_model_param.num_feature", .text("65536"))
      .with("learner.feature_names", nil).with("learner.learner_model_param.num_target", .text("60000"))
    #expect(Document.refusal(untrained.ubj)?.contains("weights: has 0 elements, expected 3932220000") == true)
    #expect(Document.refusal(linear.ubj, outputs: ["leaf"])?.contains("further outputs margin") == true)
  }

  @Test("nodes that pruning deleted stay out, and leaves keep their numbers")
  func deletedNodes() throws {
    let tree = "learner.gradient_booster.model.trees.0"
    let pruned = Document.model.with("\(tree).left_children", .integers([3, -1, -1, -1, -1]))
      .with("\(tree).right_children", .integers([4, -1, -1, -1, -1]))
    let loaded = try Document.load(pruned.ubj, outputs: ["leaf"])
    #expect(try score(loaded, [[0, 0, 0], [1, 0, 0]], "leaf") == [3, 1, 4, 3])
  }

  @Test("what is wrong is named, with where it is, what came and what was expected")
  func refusals() {
    let booster = "learner.gradient_booster"
    let model = "\(booster).model"
    let tree = "\(model).trees.1"
    func expect(
      _ path: String, _ value: XGBoostDocument?, _ parts: String..., location: SourceLocation = #_sourceLocation
    ) {
      let changed = Document.model.with(path, value)
      for bytes in [changed.json, changed.ubj] {
        let message = Document.refusal(bytes) ?? "it was loaded"
        for part in parts { #expect(message.contains(part), sourceLocation: location) }
      }
    }
    expect("learner", nil, "the document has no 'learner'")
    expect("learner", .text("x"), "learner: is a text, expected an object")
    expect("learner.objective", nil, "learner: has no objective")
    expect("learner.objective.name", .text("my:own"), "learner.objective.name: is 'my:own'", "reg:squarederror")
    expect("learner.objective.name", .integer(3), "learner.objective.name: is a number, expected a text")
    expect("learner.objective.name", .text("multi:softmax"), "num_class: is 0, but multi:softmax needs classes")
    expect("learner.feature_names", .array([.text("a")]), "learner.feature_names: has 1 names, expected 3")
    expect("learner.feature_names.1", .text(""), "learner.feature_names[1]: is empty")
    expect("learner.learner_model_param.num_feature", .text("many"), "num_feature: is 'many', expected a whole number")
    let fewer = Document.model.with("learner.learner_model_param.num_feature", .text("2")).with(
      "learner.feature_names", nil)
    #expect(Document.refusal(fewer.ubj)?.contains("trees[1].split_indices[2]: is 2, expected 0 to 1") == true)
    expect("learner.learner_model_param.num_feature", .text("70000"), "is 70000, expected 1 to 65536")
    expect("learner.learner_model_param.base_score", .text("[1,2]"), "base_score: has 2 numbers, expected 1")
    expect("learner.learner_model_param.base_score", .text("half"), "base_score: is 'half', expected a number")
    expect("learner.learner_model_param.base_score", .text("[NaN]"), "base_score: holds nan")
    expect(
      "\(booster).name", .text("gbforest"), "learner.gradient_booster.name: is 'gbforest'", "gbtree, dart or gblinear")
    expect("\(model).trees", nil, "learner.gradient_booster.model.trees: is missing")
    expect("\(model).tree_info", .array([.integer(0)]), "tree_info: has 1 elements, expected 2")
    expect("\(model).tree_info.0", .integer(1), "tree_info[0]: is 1, expected 0 to 0")
    expect("\(model).iteration_indptr.1", .integer(7), "iteration_indptr[2]: is 2, expected numbers that do not fall")
    expect("\(model).iteration_indptr.2", .integer(3), "iteration_indptr: ends with 3, expected 2")
    let at = "learner.gradient_booster.model.trees[1]"
    expect("\(tree).id", .integer(7), "\(at).id: is 7, expected 1")
    expect("\(tree).left_children", nil, "\(at): has no left_children")
    expect("\(tree).left_children", .integers([1, -1]), "\(at).left_children: has 2 elements, expected 5")
    expect("\(tree).left_children", .integers([9, -1, 3, -1, -1]), "\(at).left_children[0]: is 9, expected 1 to 4")
    expect("\(tree).left_children", .integers([0, -1, 3, -1, -1]), "\(at).left_children[0]: is 0")
    expect("\(tree).right_children", .integers([1, -1, 4, -1, -1]), "\(at).right_children[0]: is 1, a node that has")
    expect("\(tree).right_children", .floats([1.5, -1, 4, -1, -1]), "\(at).right_children[0]: ", "whole")
    expect("\(tree).split_indices", .integers([0, 0, 3, 0, 0]), "\(at).split_indices[2]: is 3, expected 0 to 2")
    expect("\(tree).tree_param.num_nodes", .text("6"), "expected 6")
    expect("\(tree).tree_param.num_nodes", .text("-1"), "\(at).tree_param.num_nodes: is -1")
    expect("\(tree).tree_param.size_leaf_vector", .text("2"), "\(at): has leaves with vectors, but no leaf_weights")
    expect("\(tree).categories", .integers([1, -2]), "\(at).categories[1]: is -2, expected 0 to 2^24 - 1")
    expect("\(tree).categories_sizes", .integers([3]), "\(at).categories_sizes[0]: is 3 from 0 on")
    expect(
      "\(tree).categories_sizes", .integers([]), "1 categories_nodes, 1 categories_segments and 0 categories_sizes")
    let logistic = Document.model.with("learner.objective.name", .text("binary:logistic"))
      .with("learner.learner_model_param.base_score", .text("2"))
    #expect(
      Document.refusal(logistic.json)?.contains("base_score: is 2.0, which binary:logistic does not allow") == true)
  }

  @Test("other files of the library are refused by what they are")
  func otherFiles() {
    #expect(Document.refusal(Array("binf....".utf8))?.contains("old binary format") == true)
    let snapshot = XGBoostDocument.object([("Config", .object([])), ("Model", Document.model)])
    for bytes in [snapshot.json, snapshot.ubj] {
      #expect(Document.refusal(bytes)?.contains("snapshot of a booster's memory") == true)
    }
    #expect(Document.refusal(Array("{\"oblivious_trees\": []}".utf8))?.contains("has no 'learner'") == true)
  }
}

extension XGBoostDocument {
  /// The value of a key; nil when this is no object that has it.
  func member(_ key: String) -> XGBoostDocument? {
    guard case .object(let members) = self else { return nil }
    return members.first { $0.key == key }?.value
  }
}
