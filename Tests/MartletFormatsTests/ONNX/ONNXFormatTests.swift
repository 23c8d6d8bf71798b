import MartletCore
import MartletEngine
import Testing

@testable import MartletFormats

/// Loads `bytes` and returns the message with which they are refused, or nil.
func refusal(_ bytes: [UInt8]) -> String? {
  do throws(ModelError) {
    _ = try load(bytes)
    return nil
  } catch {
    return error.message
  }
}

func load(_ bytes: [UInt8], featureNames: [String]? = nil) throws(ModelError) -> LoadedModel {
  let result = bytes.withUnsafeBytes { bytes -> Result<LoadedModel, ModelError> in
    do throws(ModelError) {
      return .success(try ModelLoader.load(bytes: bytes, featureNames: featureNames))
    } catch {
      return .failure(error)
    }
  }
  return try result.get()
}

@Suite("ONNX files")
struct ONNXFormatTests {
  @Test("numbers in lists are read one by one and packed", arguments: ListForm.allCases)
  func lists(form: ListForm) throws {
    var writer = ONNXWriter.forest(form)
    writer.metadata = [("purpose", "test")]
    let model = try load(writer.bytes)
    #expect(model.format == "onnx")
    #expect(model.opsets == ["": 18, "ai.onnx.ml": 3])
    #expect(model.producer == "test 1.0")
    #expect(model.metadata == ["purpose": "test"])
    let tile = Tile(signature: model.plan.signature, capacity: 2)
    let x = tile.input(0).assumingMemoryBound(to: Float.self)
    for (index, value) in [0.0, 9, 1, 9].enumerated() { x[index] = Float(value) }
    let c = tile.input(1).assumingMemoryBound(to: TextRef.self)
    c[0] = Array("green".utf8).withUnsafeBytes { tile.texts.store($0) }
    c[1] = Array("blue".utf8).withUnsafeBytes { tile.texts.store($0) }
    try model.plan.score(tile, rows: 0..<2, scratch: model.plan.makeScratch())
    let labels = tile.output(0).assumingMemoryBound(to: TextRef.self)
    let scores = tile.output(1).assumingMemoryBound(to: Float.self)
    #expect([labels[0].string, labels[1].string] == ["no", "yes"])
    // -1.5 and 1.25 through the logistic function.
    #expect(abs(scores[1] - 0.182_425_5) < 1e-6 && abs(scores[3] - 0.777_299_9) < 1e-6)
  }

  @Test("a signature says columns, categories, missing values, labels and classes")
  func signature() throws {
    let signature = try load(ONNXWriter.forest(.oneByOne).bytes).plan.signature
    #expect(signature.columns.map(\.name) == ["f0", "f1", "c"])
    #expect(signature.columns.map(\.type) == [.float32, .float32, .text])
    #expect(signature.columns[2].categories == .text(["red", "green", ""]))
    #expect(signature.columns.map(\.missingAllowed) == [false, false, true])
    #expect(signature.outputs.map(\.role) == [.label, .probability])
    #expect(signature.outputs.map(\.classes) == [.text(["no", "yes"]), .text(["no", "yes"])])
    #expect(signature.outputs.map(\.shape) == [[], [2]])
  }

  @Test("feature names come from the caller, the metadata, or are numbers")
  func featureNames() throws {
    var writer = ONNXWriter.addition
    #expect(try load(writer.bytes).plan.signature.columns.map(\.name) == ["f0", "f1"])
    writer.metadata = [("feature_names", #" ["age", "h\u00f6he \"m\""] "#)]
    #expect(try load(writer.bytes).plan.signature.columns.map(\.name) == ["age", "höhe \"m\""])
    #expect(try load(writer.bytes, featureNames: ["a", "b"]).plan.signature.columns.map(\.name) == ["a", "b"])
    for useless in [#"["one"]"#, #"["a", "a"]"#, #"{"a": 1}"#, #"["a", 1]"#, #"["a", "b"] x"#, #"["a", "b"#] {
      writer.metadata = [("feature_names", useless)]
      #expect(try load(writer.bytes).plan.signature.columns.map(\.name) == ["f0", "f1"])
    }
    #expect(throws: ModelError.self) { try load(writer.bytes, featureNames: ["only one"]) }
    #expect(throws: ModelError.self) { try load(writer.bytes, featureNames: ["twice", "twice"]) }
  }

  @Test("an open number of features is what feature names say, and else an error")
  func openWidth() throws {
    var writer = ONNXWriter()
    writer.inputs = [ONNXWriter.value("x", type: 1, [nil, nil])]
    writer.outputs = [ONNXWriter.value("y", type: 1, [nil, nil])]
    writer.node("Neg", ["x"], ["y"])
    #expect(refusal(writer.bytes)?.contains("leaves the number of its features open") == true)
    #expect(try load(writer.bytes, featureNames: ["a", "b", "c"]).plan.signature.inputs[0].shape == [3])
  }

  @Test("tensors of every type are read from raw and from typed data")
  func tensors() throws {
    func tensor(_ type: Int64, _ dims: [Int64], _ body: (inout MessageWriter) -> Void) throws -> ConstantTensor {
      var writer = ONNXWriter.addition
      writer.initializer("t", type: type, dims: dims, body)
      let graph = try writer.bytes.withUnsafeBytes { try ONNXFormat.read($0) }
      return try #require(graph.initializers["t"])
    }
    #expect(
      try tensor(1, [2]) {
        $0.float(4, 1.5)
        $0.float(4, -2)
      }.array(of: Float.self) == [1.5, -2])
    #expect(try tensor(7, [2]) { $0.data(7, [1] + MessageWriter.varint(.max)) }.integers == [1, -1])
    #expect(try tensor(6, [1]) { $0.integer(5, -7) }.integers == [-7])
    #expect(try tensor(3, [1]) { $0.integer(5, -7) }.integers == [-7])
    #expect(try tensor(9, [3]) { $0.data(9, [0, 1, 7]) }.array(of: UInt8.self) == [0, 1, 1])
    #expect(
      try tensor(8, [2]) {
        $0.text(6, "a")
        $0.text(6, "")
      }.strings == ["a", ""])
    #expect(try tensor(11, [1]) { $0.data(9, [0, 0, 0, 0, 0, 0, 0xf0, 0x3f]) }.array(of: Double.self) == [1])
    let half = try tensor(10, [4]) { $0.data(9, [0x00, 0x3c, 0x01, 0x00, 0x00, 0xfc, 0x00, 0xc0]) }
    #expect(half.type == .float32 && half.array(of: Float.self) == [1, 0x1p-24, -.infinity, -2])
    #expect(try tensor(10, [1]) { $0.integer(5, 0x3800) }.array(of: Float.self) == [0.5])
    #expect(try tensor(1, []) { $0.float(4, 3) }.shape == Shape())
    #expect(try tensor(1, [0, 3]) { _ in }.count == 0)
  }

  @Test("every half-precision number has its value")
  func halves() {
    for pattern in UInt16.min...UInt16.max {
      let expected = Float(Float16(bitPattern: pattern))
      let value = single(half: pattern)
      #expect(value == expected || value.isNaN && expected.isNaN)
    }
  }

  @Test("what is wrong is named, with where it is and what was expected")
  func messages() {
    func changed(_ change: (inout ONNXWriter) -> Void) -> String {
      var writer = ONNXWriter.addition
      change(&writer)
      return refusal(writer.bytes) ?? "loaded"
    }
    func expectRefusal(_ message: String, _ parts: String..., sourceLocation: SourceLocation = #_sourceLocation) {
      for part in parts {
        #expect(message.contains(part), "\(message)", sourceLocation: sourceLocation)
      }
    }
    expectRefusal(refusal([]) ?? "", "the file is empty")
    expectRefusal(refusal(Array("[1, 2]".utf8)) ?? "", "5b 31", "none of the formats", "onnx", "xgboost")
    expectRefusal(changed { $0.irVersion = nil }, "ir_version is missing")
    expectRefusal(changed { $0.irVersion = 99 }, "ir_version is 99", "3 to 14")
    expectRefusal(changed { $0.opsets = [("", 4)] }, "version 4", "the default domain", "5 to 28")
    expectRefusal(changed { $0.opsets = [("", 29)] }, "version 29")
    expectRefusal(changed { $0.opsets = [("", 18), ("ai.onnx.ml", 6)] }, "version 6 of ai.onnx.ml", "1 to 5")
    expectRefusal(changed { $0.opsets = [("", 18), ("", 17)] }, "versions 18 and 17")
    expectRefusal(changed { $0.opsets = [] }, "imports no operator set", "Add node 'add'")
    expectRefusal(
      changed {
        $0.opsets.append(("com.example", 1))
        $0.nodes = []
        $0.node("Magic", domain: "com.example", name: "spell", ["x"], ["y"])
      }, "com.example.Magic node 'spell'", "domain 'com.example' is not supported")
    expectRefusal(
      changed {
        $0.nodes = []
        $0.node("Fft", name: "f", ["x"], ["y"])
      }, "operator 'Fft' of the default domain, version 18, is not supported", "node 'f'")
    expectRefusal(
      changed { $0.node("Add", name: "again", ["x", "w"], ["y"]) }, "node 'again'", "'y' is already the name of")
    expectRefusal(changed { $0.inputs.append($0.inputs[0]) }, "two inputs", "'x'")
    expectRefusal(changed { $0.outputs.append($0.outputs[0]) }, "two outputs", "'y'")
    expectRefusal(changed { $0.outputs = [] }, "no outputs")
    expectRefusal(
      changed {
        $0.inputs = []
        $0.nodes = []
        $0.node("Neg", ["w"], ["y"])
      }, "no inputs")
    expectRefusal(changed { $0.initializers.append($0.initializers[0]) }, "two initializers 'w'")
    expectRefusal(changed { $0.outputs = [ONNXWriter.value("z", type: 1, [nil])] }, "output 'z'", "made by no node")
    expectRefusal(
      changed {
        $0.nodes = []
        $0.node("Add", ["x", "ghost"], ["y"])
      }, "its input 'ghost' is made by no node")
    expectRefusal(
      changed {
        $0.nodes = []
        $0.node("Add", name: "one", ["x", "b"], ["a"])
        $0.node("Add", name: "two", ["x", "a"], ["b"])
        $0.node("Neg", ["b"], ["y"])
      }, "cycle")
    expectRefusal(
      changed { $0.initializer("t", type: 1, dims: [3]) { $0.data(9, [0, 0, 0, 0]) } }, "initializer 't'",
      "4 bytes of raw_data, expected 3 elements of 4 bytes")
    expectRefusal(
      changed { $0.initializer("t", type: 1, dims: [3]) { $0.float(4, 1) } }, "has 1 values, expected 3")
    expectRefusal(
      changed { $0.initializer("t", type: 1, dims: [.max, .max]) { $0.float(4, 1) } }, "impossible shape")
    expectRefusal(changed { $0.initializer("t", type: 1, dims: [-1]) { _ in } }, "impossible shape")
    expectRefusal(
      changed { $0.initializer("t", type: 1, dims: Array(repeating: 1, count: 9)) { $0.float(4, 1) } }, "9 dimensions")
    expectRefusal(changed { $0.initializer("t", type: 14, dims: [1]) { _ in } }, "element type 14")
    expectRefusal(changed { $0.initializer("t", type: 1, dims: [1]) { $0.integer(14, 1) } }, "lies in another file")
    expectRefusal(changed { $0.initializer("t", type: 8, dims: [1]) { $0.data(6, [0xff]) } }, "not valid UTF-8")
    expectRefusal(
      changed {
        $0.nodes = []
        var attribute = MessageWriter()
        attribute.message(6) { $0.text(2, "inner") }
        attribute.integer(20, 5)
        $0.node("If", name: "choice", ["x"], ["y"], ["then_branch": .raw(attribute.bytes)])
      }, "If node 'choice'", "input 0 is float32")
    expectRefusal(
      changed {
        $0.nodes = []
        $0.node("Neg", name: "twice", ["x"], ["y"], ["a": .integer(1), "a": .integer(2)])
      }, "two attributes 'a'")
    expectRefusal(changed { $0.moreOfGraph = [0x0a, 0] }, "second graph")
    expectRefusal(changed { $0.moreOfModel = [0xca, 0x01, 0] }, "a function has no name")
    expectRefusal(changed { $0.moreOfModel = [0x0b] }, "wire type 3")
    expectRefusal(changed { $0.moreOfModel = [0x12, 0x7f] }, "a field of 127 bytes runs past the end")
    expectRefusal(
      changed { $0.inputs = [ONNXWriter.value("x", type: 1, [5, 2])] }, "fixed number of 5 rows")
    expectRefusal(
      changed {
        $0.nodes = []
        $0.node("ReduceSum", ["x"], ["y"])
      }, "output 'y'", "expected a dimension for the rows")
    expectRefusal(
      changed {
        $0.nodes = []
        $0.node("CumSum", ["x", "axis"], ["y"])
        $0.initializer("axis", type: 7, dims: []) { $0.integer(7, 0) }
      }, "depends on the other rows of its batch")
  }

  @Test("damaged trees are refused with the node that is wrong")
  func trees() {
    func refusalOfForest(_ attribute: String, _ value: ONNXWriter.Attribute) -> String {
      var writer = ONNXWriter()
      writer.inputs = [ONNXWriter.value("x", type: 1, [nil, 2])]
      writer.outputs = [ONNXWriter.value("y", type: 1, [nil, 1])]
      var attributes: [(String, ONNXWriter.Attribute)] = [
        ("n_targets", .integer(1)), ("nodes_treeids", .integers([0, 0, 0])), ("nodes_nodeids", .integers([0, 1, 2])),
        ("nodes_featureids", .integers([1, 0, 0])), ("nodes_modes", .texts(["BRANCH_LEQ", "LEAF", "LEAF"])),
        ("nodes_values", .floats([0, 0, 0])), ("nodes_truenodeids", .integers([1, 0, 0])),
        ("nodes_falsenodeids", .integers([2, 0, 0])), ("target_treeids", .integers([0, 0])),
        ("target_nodeids", .integers([1, 2])), ("target_ids", .integers([0, 0])), ("target_weights", .floats([1, 2])),
      ]
      attributes.removeAll { $0.0 == attribute }
      attributes.append((attribute, value))
      var node = MessageWriter()
      node.text(1, "x")
      node.text(2, "y")
      node.text(3, "trees")
      node.text(4, "TreeEnsembleRegressor")
      for (key, value) in attributes { node.data(5, writer.attribute(key, value)) }
      node.text(7, "ai.onnx.ml")
      writer.nodes = [node.bytes]
      return refusal(writer.bytes) ?? "loaded"
    }
    #expect(refusalOfForest("n_targets", .integer(1)) == "loaded")
    for (attribute, value, part) in [
      ("nodes_truenodeids", .integers([0, 0, 0]), "cycle"),
      ("nodes_truenodeids", .integers([7, 0, 0]), "names node 7 of tree 0"),
      ("nodes_truenodeids", .integers([1, 0]), "has 2 elements, expected 3"),
      ("nodes_truenodeids", .integers([2, 0, 0]), "is in no tree"),
      ("nodes_nodeids", .integers([0, 1, 1]), "names node 1 of tree 0 twice"),
      ("nodes_featureids", .integers([2, 0, 0]), "reads feature 2"),
      ("nodes_featureids", .integers([-1, 0, 0]), "has -1 at 0"),
      ("nodes_modes", .texts(["BRANCH_WEST", "LEAF", "LEAF"]), "'BRANCH_WEST'"),
      ("nodes_values", .floats([0, 0]), "has 2 elements"),
      ("nodes_values", .integers([0, 0, 0]), "is a list of integers, expected a list of floats"),
      ("target_ids", .integers([0, 1]), "target 1, expected 0 to 0"),
      ("target_nodeids", .integers([1, 9]), "names node 9 of tree 0"),
      ("target_weights", .floats([1]), "2, 2, 2 and 1"),
      ("n_targets", .integer(0), "is 0"), ("aggregate_function", .text("MEDIAN"), "MEDIAN"),
      ("post_transform", .text("CUBE"), "CUBE"), ("base_values", .floats([1, 2]), "has 2 elements"),
      ("nodes_missing_value_tracks_true", .integers([1]), "has 1 elements"),
    ] as [(String, ONNXWriter.Attribute, String)] {
      let message = refusalOfForest(attribute, value)
      #expect(message.contains(part) && message.contains("TreeEnsembleRegressor node 'trees'"), "\(message)")
    }
  }
}
