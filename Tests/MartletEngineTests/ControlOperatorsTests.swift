import MartletCore
import Testing

@testable import MartletEngine

@Suite("Operators that run graphs")
struct ControlOperatorsTests {
  private static func node(
    _ opType: String, _ inputs: [String], _ outputs: [String], _ attributes: [String: AttributeValue] = [:]
  ) -> GraphNode {
    var node = GraphNode(
      opType: opType, opset: OperatorRegistry.newest, inputs: inputs, outputs: outputs, attributes: attributes)
    node.bindCapturedValues()
    return node
  }

  private static func graph(
    _ inputs: [String], _ outputs: [String], _ nodes: [GraphNode], _ constants: [String: Value] = [:]
  ) -> Graph {
    Graph(
      inputs: inputs.map { Graph.Value(name: $0, type: nil, shape: nil) },
      outputs: outputs.map { Graph.Value(name: $0, type: nil, shape: nil) }, nodes: nodes,
      initializers: constants.mapValues(\.constant))
  }

  /// Runs a graph twice on the same inputs; the outputs of the second run.
  private static func run(_ graph: Graph, _ given: [Value]) throws -> [Value] {
    let order = try GraphOrder(graph)
    let run = try PlanningRun(graph, order, inputs: given.map { (type: $0.type, shape: Shape($0.shape)) }) {
      index, tensor, _ in
      given[index].bytes.withUnsafeBytes {
        tensor.bytes.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(tensor.bytes), byteCount: $0.count)
      }
    }
    try StepList(run.items).run(run.scratch, texts: run.texts)
    return order.outputs.map {
      let tensor = run.tensor($0.value)
      return Value(
        tensor.type, tensor.shape.dimensions,
        bytes: Array(UnsafeRawBufferPointer(start: tensor.bytes, count: tensor.byteCount)))
    }
  }

  private static func conditional(_ constants: [String: Value] = [:], inputs: [String] = ["c", "x"]) -> Graph {
    // Both branches read x of the graph around; one has a value of the name that the other one reads there.
    let whenTrue = graph([], ["y"], [node("Neg", ["x"], ["y"])])
    let whenFalse = graph([], ["z"], [node("Add", ["x", "k"], ["z"])], ["k": Value([10] as [Float])])
    return graph(
      inputs, ["r"], [node("If", ["c"], ["r"], ["then_branch": .graph(whenTrue), "else_branch": .graph(whenFalse)])],
      constants)
  }

  @Test(
    "If takes the branch that its condition chooses", arguments: [(1, [-1, 2]), (0, [11, 8])] as [(UInt8, [Float])])
  func chooses(condition: UInt8, expected: [Float]) throws {
    let x = Value([1, -2] as [Float])
    #expect(
      try Self.run(Self.conditional(), [Value(.bool, [1], bytes: [condition]), x]) == [Value(expected)])
    // A condition that is known: only its branch is planned.
    let constant = Self.conditional(["c": Value(.bool, [], bytes: [condition])], inputs: ["x"])
    #expect(try Self.run(constant, [x]) == [Value(expected)])
  }

  @Test("the branch that a constant condition never takes may hold what is not supported")
  func skipsUntaken() throws {
    let unknown = Self.graph([], ["y"], [Self.node("Fft", ["x"], ["y"])])
    let known = Self.graph([], ["y"], [Self.node("Neg", ["x"], ["y"])])
    let choice = Self.graph(
      ["x"], ["r"],
      [Self.node("If", ["c"], ["r"], ["then_branch": .graph(known), "else_branch": .graph(unknown)])],
      ["c": Value(.bool, [], bytes: [1])])
    #expect(try Self.run(choice, [Value([3] as [Float])]) == [Value([-3] as [Float])])
    #expect(throws: ModelError.self) {
      try Self.run(
        Self.graph(
          ["c", "x"], ["r"],
          [Self.node("If", ["c"], ["r"], ["then_branch": .graph(known), "else_branch": .graph(unknown)])]),
        [Value(.bool, [], bytes: [1]), Value([3] as [Float])])
    }
  }

  @Test("states of a Scan may change places, and parts be stacked backwards")
  func scans() throws {
    // (a, b) becomes (b, a + b + slice); shown is a.
    let body = Self.graph(
      ["a", "b", "slice"], ["b", "next", "shown"],
      [
        Self.node("Sum", ["a", "b", "slice"], ["next"]), Self.node("Identity", ["a"], ["shown"]),
      ])
    func scan(_ attributes: [String: AttributeValue]) throws -> [Value] {
      var all = attributes
      all["body"] = .graph(body)
      all["num_scan_inputs"] = .integer(1)
      return try Self.run(
        Self.graph(["p", "q", "x"], ["r", "s", "t"], [Self.node("Scan", ["p", "q", "x"], ["r", "s", "t"], all)]),
        [Value([0] as [Float]), Value([1] as [Float]), Value([0, 0, 10, 0, 100] as [Float], [5, 1])])
    }
    let forward = try scan([:])
    #expect(forward[0] == Value([15] as [Float]) && forward[1] == Value([128] as [Float]))
    #expect(forward[2] == Value([0, 1, 1, 2, 13] as [Float], [5, 1]))
    let backward = try scan(["scan_output_directions": .integers([1]), "scan_output_axes": .integers([-1])])
    #expect(backward[2] == Value([13, 2, 1, 1, 0] as [Float], [1, 5]))
    let reversed = try scan(["scan_input_directions": .integers([1])])
    #expect(reversed[2] == Value([0, 1, 101, 102, 213] as [Float], [5, 1]))
  }

  @Test("a Scan over nothing leaves the state as it is")
  func scansNothing() throws {
    let body = Self.graph(
      ["a", "slice"], ["next", "shown"],
      [Self.node("Add", ["a", "slice"], ["next"]), Self.node("Neg", ["next"], ["shown"])])
    let outputs = try Self.run(
      Self.graph(
        ["p", "x"], ["r", "s"],
        [Self.node("Scan", ["p", "x"], ["r", "s"], ["body": .graph(body), "num_scan_inputs": .integer(1)])]),
      [Value([7] as [Float]), Value([] as [Float], [0, 1])])
    #expect(outputs == [Value([7] as [Float]), Value([] as [Float], [0, 1])])
  }

  private static func distances(_ recognized: Bool, asked: Value, known: Value, isConstant: Bool) throws -> Value {
    // A second Neg of the difference changes nothing but the form.
    let squares =
      recognized
      ? [node("Sub", ["next_in", "next"], ["d"])]
      : [node("Sub", ["next_in", "next"], ["e"]), node("Neg", ["e"], ["f"]), node("Neg", ["f"], ["d"])]
    let body = graph(
      ["next_in", "next"], ["next_out", "scan_out"],
      squares + [
        node("ReduceSumSquare", ["d", "axes"], ["s"], ["keepdims": .integer(0)]),
        node("Identity", ["next_in"], ["next_out"]), node("Identity", ["s"], ["scan_out"]),
      ], ["axes": Value([1] as [Int64])])
    let scan = node("Scan", ["x", "k"], ["o", "y"], ["body": .graph(body), "num_scan_inputs": .integer(1)])
    return try run(
      graph(isConstant ? ["x"] : ["x", "k"], ["y"], [scan], isConstant ? ["k": known] : [:]),
      isConstant ? [asked] : [asked, known])[0]
  }

  @Test("distances to known rows have the same bits in the form that is recognized", arguments: [1, 5, 16, 37])
  func measuresDistances(rows: Int) throws {
    var random = FixedRandom(state: UInt64(rows))
    for depth in [1, 4, 11] {
      let asked = (0..<(rows * depth)).map { _ in Float.random(in: -3...3, using: &random) }
      let known = (0..<(29 * depth)).map { _ in Float.random(in: -3...3, using: &random) }
      let plain = try Self.distances(
        false, asked: Value(asked, [rows, depth]), known: Value(known, [29, depth]), isConstant: true)
      #expect(plain.shape == [29, rows])
      for isConstant in [true, false] {
        let quick = try Self.distances(
          true, asked: Value(asked, [rows, depth]), known: Value(known, [29, depth]), isConstant: isConstant)
        #expect(quick == plain, "\(depth) columns")
        let double = try Self.distances(
          true, asked: Value(asked.map(Double.init), [rows, depth]), known: Value(known.map(Double.init), [29, depth]),
          isConstant: isConstant)
        #expect(
          double
            == (try Self.distances(
              false, asked: Value(asked.map(Double.init), [rows, depth]),
              known: Value(known.map(Double.init), [29, depth]), isConstant: true)))
      }
    }
  }

  @Test("what a Scan cannot do is refused")
  func refusesScans() {
    func refusal(_ body: Graph, _ attributes: [String: AttributeValue]) -> String {
      var all = attributes
      all["body"] = .graph(body)
      do {
        _ = try Self.run(
          Self.graph(["p", "x"], ["r"], [Self.node("Scan", ["p", "x"], ["r"], all)]),
          [Value([0] as [Float]), Value([1, 2] as [Float], [2, 1])])
        return "ran"
      } catch let error as ModelError {
        return error.message
      } catch {
        return "\(error)"
      }
    }
    let body = Self.graph(["a", "s"], ["n"], [Self.node("Add", ["a", "s"], ["n"])])
    #expect(refusal(body, [:]).contains("'num_scan_inputs' is missing"))
    #expect(refusal(body, ["num_scan_inputs": .integer(3)]).contains("the body has 2 inputs"))
    let axes: [String: AttributeValue] = ["num_scan_inputs": .integer(1), "scan_input_axes": .integers([4])]
    #expect(refusal(body, axes).contains("scanned along axis 4"))
    let inner = Self.node("Scan", ["a", "s"], ["n"], ["body": .graph(body), "num_scan_inputs": .integer(1)])
    #expect(
      refusal(Self.graph(["a", "s"], ["n"], [inner]), ["num_scan_inputs": .integer(1)]).contains("holds another Scan"))
    let unknown = Self.graph(["a", "s"], ["n"], [Self.node("Fft", ["a"], ["n"])])
    #expect(refusal(unknown, ["num_scan_inputs": .integer(1)]).contains("in its graph, Fft node"))
  }

  @Test("updates are scattered in their order, and meet what is there by the reduction")
  func scatters() throws {
    func scatter(_ reduction: String?) -> SingleOperator {
      SingleOperator(
        "ScatterElements", reduction.map { ["reduction": .text($0), "axis": .integer(1)] } ?? ["axis": .integer(1)])
    }
    let data = Value([1, 2, 3, 4] as [Float], [1, 4])
    let indices = Value([1, 3, -3] as [Int64], [1, 3])
    let updates = Value([10, 20, 30] as [Float], [1, 3])
    #expect(try scatter(nil).first(data, indices, updates) == Value([1, 30, 3, 20] as [Float], [1, 4]))
    #expect(try scatter("add").first(data, indices, updates) == Value([1, 42, 3, 24] as [Float], [1, 4]))
    #expect(try scatter("mul").first(data, indices, updates) == Value([1, 600, 3, 80] as [Float], [1, 4]))
    #expect(try scatter("max").first(data, indices, updates) == Value([1, 30, 3, 20] as [Float], [1, 4]))
    #expect(try scatter("min").first(data, indices, updates) == Value([1, 2, 3, 4] as [Float], [1, 4]))
    #expect(scatter("average").refusal(data, indices, updates)?.contains("'average'") == true)
    #expect(
      scatter(nil).refusal(data, Value([4] as [Int64], [1, 1]), Value([0] as [Float], [1, 1]))
        == "index 4 is not in -4..<4")
    let nd = SingleOperator("ScatterND")
    #expect(
      try nd.first(Value(texts: ["a", "b", "c"]), Value([2, 0] as [Int64], [2, 1]), Value(texts: ["x", "y"]))
        == Value(texts: ["y", "b", "x"]))
    #expect(nd.refusal(data, Value([0, 0] as [Int64], [1, 2]), updates)?.contains("the updates [1, 3]") == true)
  }
}
