import MartletCore
import Testing

@testable import MartletEngine

@Suite("Planning of graphs")
struct GraphPlannerTests {
  private func node(
    _ opType: String, _ inputs: [String], _ outputs: [String], domain: String = "",
    _ attributes: [String: AttributeValue] = [:]
  ) -> GraphNode {
    GraphNode(
      name: opType.lowercased(), opType: opType, domain: domain, opset: domain.isEmpty ? 18 : 3, inputs: inputs,
      outputs: outputs, attributes: attributes)
  }

  private func graph(
    _ nodes: [GraphNode], inputs: [(String, ElementType, [Int?])] = [("x", .float32, [nil, 2])],
    outputs: [String] = ["y"], _ initializers: [String: ConstantTensor] = [:]
  ) -> Graph {
    Graph(
      inputs: inputs.map { Graph.Value(name: $0.0, type: $0.1, shape: $0.2) },
      outputs: outputs.map { Graph.Value(name: $0, type: nil, shape: nil) }, nodes: nodes, initializers: initializers)
  }

  private func floats(_ values: [Float], _ shape: Shape? = nil) -> ConstantTensor {
    ConstantTensor(.float32, shape ?? Shape(values.count), values)
  }

  private func plan(_ graph: Graph, names: [String]? = nil) throws -> GraphPlan {
    try GraphPlanner.plan(graph, featureNames: names)
  }

  /// The outputs of float inputs `[rows, width]`, each output by itself.
  private func score(_ plan: GraphPlan, _ inputs: [[Float]], rows: Int) throws -> [[Float]] {
    let tile = Tile(signature: plan.signature, capacity: rows)
    for (index, values) in inputs.enumerated() {
      for (place, value) in values.enumerated() {
        tile.input(index).assumingMemoryBound(to: Float.self)[place] = value
      }
    }
    try plan.score(tile, rows: 0..<rows, scratch: plan.makeScratch())
    return plan.signature.outputs.enumerated().map { index, output in
      Array(
        UnsafeBufferPointer(
          start: tile.output(index).assumingMemoryBound(to: Float.self), count: rows * output.width))
    }
  }

  @Test("nodes run in the order of what they read, whatever the order of the file")
  func order() throws {
    let plan = try plan(
      graph([node("Add", ["a", "b"], ["y"]), node("Neg", ["a"], ["b"]), node("Mul", ["x", "x"], ["a"])]))
    #expect(try score(plan, [[3, 4]], rows: 1) == [[0, 0]])
    #expect(plan.steps.count == 3)
  }

  @Test("what does not depend on the rows is computed once, what nobody reads never")
  func folding() throws {
    let plan = try plan(
      graph(
        [
          node("Add", ["one", "one"], ["two"]), node("Mul", ["x", "two"], ["y"]), node("Neg", ["x"], ["unread"]),
          node("NoSuchOperator", ["x"], ["unread too"]),
        ], ["one": floats([1, 1])]))
    #expect(plan.steps.count == 1)
    #expect(try score(plan, [[3, 4, 5, 6]], rows: 2) == [[6, 8, 10, 12]])
  }

  @Test("any range of rows is scored by itself, an empty one too, and no other row is touched")
  func ranges() throws {
    let plan = try plan(graph([node("Neg", ["x"], ["y"])]))
    let tile = Tile(signature: plan.signature, capacity: 600)
    let x = tile.input(0).assumingMemoryBound(to: Float.self)
    let y = tile.output(0).assumingMemoryBound(to: Float.self)
    for index in 0..<1200 { x[index] = Float(index) }
    let scratch = plan.makeScratch()
    try plan.score(tile, rows: 5..<5, scratch: scratch)
    #expect((0..<1200).allSatisfy { y[$0] == 0 })
    try plan.score(tile, rows: 7..<590, scratch: scratch)
    #expect((0..<1200).allSatisfy { y[$0] == ((14..<1180).contains($0) ? -Float($0) : 0) })
    #expect(scratch.bytes >= 583 * 8)
    scratch.drop()
    #expect(scratch.bytes == 0)
    try plan.score(tile, rows: 3..<4, scratch: scratch)
    #expect(y[6] == -6 && (1..<1000).contains(scratch.bytes))
    #expect(throws: Status.self) { try plan.score(tile, rows: 590..<601, scratch: scratch) }
    #expect(throws: Status.self) { try plan.score(tile, rows: 0..<1, scratch: PlanScratch()) }
  }

  @Test("rows that are not the first dimension of an output come first in the signature")
  func rowAxis() throws {
    // [rows, 2] becomes [2, rows].
    let plan = try plan(graph([node("Transpose", ["x"], ["y"])]))
    #expect(plan.signature.outputs[0].shape == [2])
    #expect(try score(plan, [[1, 2, 3, 4, 5, 6]], rows: 3) == [[1, 2, 3, 4, 5, 6]])
  }

  @Test("several elements a row that the model lays out as rows are one row again")
  func unrolledRows() throws {
    let shape = ConstantTensor(.int64, Shape(2), [Int64(-1), 1])
    let plan = try plan(graph([node("Reshape", ["x", "shape"], ["y"])], ["shape": shape]))
    #expect(plan.signature.outputs[0].shape == [2])
    #expect(try score(plan, [[1, 2, 3, 4]], rows: 2) == [[1, 2, 3, 4]])
  }

  @Test("an output that is a constant is left out, one that mixes rows is refused")
  func outputs() throws {
    let constant = graph(
      [node("Neg", ["x"], ["y"]), node("Neg", ["one"], ["z"])], outputs: ["y", "z"], ["one": floats([1])])
    #expect(try plan(constant).signature.outputs.map(\.name) == ["y"])
    let mixed = graph(
      [node("ReduceMax", ["x", "axis"], ["m"]), node("Sub", ["x", "m"], ["y"])],
      ["axis": ConstantTensor(.int64, Shape(1), [Int64(0)])])
    #expect { try plan(mixed) } throws: {
      ($0 as? ModelError)?.message.contains("depends on the other rows of its batch") == true
    }
  }

  @Test("columns pass through operators that move them, and what they meet decides whether they may be missing")
  func missing() throws {
    let graph = graph(
      [
        node("Concat", ["a", "b", "c"], ["all"], ["axis": .integer(1)]),
        node("ArrayFeatureExtractor", ["all", "picked"], ["some"], domain: "ai.onnx.ml"),
        node(
          "Imputer", ["some"], ["filled"], domain: "ai.onnx.ml",
          ["imputed_value_floats": .floats([0]), "replaced_value_float": .float(.nan)]),
        node("ArrayFeatureExtractor", ["all", "rest"], ["others"], domain: "ai.onnx.ml"),
        node("Concat", ["filled", "others"], ["joined"], ["axis": .integer(1)]),
        node("ReduceSum", ["joined", "axis"], ["y"]),
      ],
      inputs: [("a", .float32, [nil, 1]), ("b", .float32, [nil, 2]), ("c", .float32, [nil, 1])],
      [
        "picked": ConstantTensor(.int64, Shape(2), [Int64(2), 0]),
        "rest": ConstantTensor(.int64, Shape(2), [Int64(1), 3]), "axis": ConstantTensor(.int64, Shape(1), [Int64(1)]),
      ])
    let columns = try plan(graph).signature.columns
    #expect(columns.map(\.name) == ["a", "f0", "f1", "c"])
    #expect(columns.map(\.missingAllowed) == [true, false, true, false])
    let renamed = try plan(graph, names: ["u", "v"]).signature.columns
    #expect(renamed.map(\.name) == ["a", "u", "v", "c"])
    #expect(try plan(graph, names: ["p", "q", "r", "s"]).signature.columns.map(\.name) == ["p", "q", "r", "s"])
  }

  @Test("categories come from the encoder that reads a column, through imputation by hand")
  func categories() throws {
    let cats = ConstantTensor(strings: ["high", "low"])
    let graph = graph(
      [
        node("Equal", ["t", "empty"], ["isMissing"]), node("Where", ["isMissing", "fill", "t"], ["filled"]),
        node(
          "OneHotEncoder", ["filled"], ["y"], domain: "ai.onnx.ml",
          ["cats_strings": .texts(cats), "zeros": .integer(0)]),
      ], inputs: [("t", .text, [nil, 1])],
      ["empty": ConstantTensor(strings: [""]), "fill": ConstantTensor(strings: ["low"])])
    // Without zeros for what is unknown, made-up rows have to be known categories.
    let column = try plan(graph).signature.columns[0]
    #expect(column.categories == .text(["high", "low"]))
  }

  @Test("labels and classes are found behind ArgMax, casts and ZipMap")
  func classes() throws {
    let labels = ConstantTensor(.int64, Shape(2), [Int64(10), 20])
    let graph = graph(
      [
        node("ArgMax", ["x"], ["best"], ["axis": .integer(1), "keepdims": .integer(0)]),
        node("ArrayFeatureExtractor", ["labels", "best"], ["picked"], domain: "ai.onnx.ml"),
        node("Reshape", ["picked", "flat"], ["output_label"]),
        node(
          "ZipMap", ["x"], ["output_probability"], domain: "ai.onnx.ml", ["classlabels_int64s": .integers([10, 20])]),
        node("Softmax", ["x"], ["probabilities"]),
      ], outputs: ["output_label", "output_probability", "probabilities"],
      ["labels": labels, "flat": ConstantTensor(.int64, Shape(1), [Int64(-1)])])
    let outputs = try plan(graph).signature.outputs
    #expect(outputs.map(\.role) == [.label, .probability, .probability])
    #expect(outputs.allSatisfy { $0.classes == .integer([10, 20]) })
    #expect(outputs.map(\.shape) == [[], [2], [2]])
  }

  @Test("an operator's error names the node, and the thread may go on with the next rows")
  func errors() throws {
    let cats = ConstantTensor(strings: ["high", "low"])
    let plan = try plan(
      graph(
        [
          node(
            "OneHotEncoder", ["t"], ["y"], domain: "ai.onnx.ml",
            ["cats_strings": .texts(cats), "zeros": .integer(0)])
        ], inputs: [("t", .text, [nil, 1])]))
    let tile = Tile(signature: plan.signature, capacity: 1)
    let scratch = plan.makeScratch()
    let text = tile.input(0).assumingMemoryBound(to: TextRef.self)
    text[0] = Array("middle".utf8).withUnsafeBytes { tile.texts.store($0) }
    #expect { try plan.score(tile, rows: 0..<1, scratch: scratch) } throws: {
      guard let status = $0 as? Status else { return false }
      return status.code == .invalidArgument && status.message.contains("OneHotEncoder node 'onehotencoder'")
    }
    text[0] = Array("low".utf8).withUnsafeBytes { tile.texts.store($0) }
    try plan.score(tile, rows: 0..<1, scratch: scratch)
    let y = tile.output(0).assumingMemoryBound(to: Float.self)
    #expect([y[0], y[1]] == [0, 1])
  }
}
