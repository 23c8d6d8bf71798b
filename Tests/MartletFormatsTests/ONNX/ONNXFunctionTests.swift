import MartletCore
import MartletEngine
import MartletFormats
import Testing

@Suite("ONNX files with functions and graphs inside nodes")
struct ONNXFunctionTests {
  /// A node of a function or of a graph inside another node.
  private func node(
    _ opType: String, domain: String = "", _ inputs: [String], _ outputs: [String], _ attributes: [[UInt8]] = []
  ) -> [UInt8] {
    var writer = MessageWriter()
    for input in inputs { writer.text(1, input) }
    for output in outputs { writer.text(2, output) }
    writer.text(4, opType)
    for attribute in attributes { writer.data(5, attribute) }
    if !domain.isEmpty { writer.text(7, domain) }
    return writer.bytes
  }

  private func function(
    _ name: String, _ inputs: [String], _ outputs: [String], _ nodes: [[UInt8]], more: [UInt8] = []
  ) -> [UInt8] {
    var model = MessageWriter()
    var body = MessageWriter()
    body.text(1, name)
    for input in inputs { body.text(4, input) }
    for output in outputs { body.text(5, output) }
    for node in nodes { body.data(7, node) }
    for (domain, version) in [("", Int64(18)), ("local", 1)] {
      body.message(9) {
        if !domain.isEmpty { $0.text(1, domain) }
        $0.integer(2, version)
      }
    }
    body.text(10, "local")
    model.data(25, body.bytes + more)
    return model.bytes
  }

  /// The attribute `name` with the value of the function's attribute `other`.
  private func reference(_ name: String, to other: String, type: Int64) -> [UInt8] {
    var writer = MessageWriter()
    writer.text(1, name)
    writer.integer(20, type)
    writer.text(21, other)
    return writer.bytes
  }

  private func writer(_ functions: [[UInt8]]) -> ONNXWriter {
    var writer = ONNXWriter()
    writer.opsets.append(("local", 1))
    writer.inputs = [ONNXWriter.value("x", type: 1, [nil, 2])]
    writer.outputs = [ONNXWriter.value("y", type: 1, [nil, 2])]
    writer.moreOfModel = functions.flatMap { $0 }
    return writer
  }

  private func answer(_ writer: ONNXWriter, _ rows: [Float]) throws -> [Float] {
    let plan = try writer.bytes.withUnsafeBytes { try ModelLoader.load(bytes: $0) }.plan
    let count = rows.count / 2
    let tile = Tile(signature: plan.signature, capacity: count)
    rows.withUnsafeBytes { tile.input(0).copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
    tile.rows = count
    try plan.score(tile, rows: 0..<count, scratch: plan.makeScratch())
    let width = plan.signature.outputs[0].width
    return (0..<(count * width)).map {
      tile.output(0).load(fromByteOffset: $0 * 4, as: Float.self)
    }
  }

  private func refusal(_ writer: ONNXWriter) -> String {
    do {
      _ = try writer.bytes.withUnsafeBytes { try ModelLoader.load(bytes: $0) }
      return "loaded"
    } catch {
      return "\(error)"
    }
  }

  @Test("a function's nodes take the place of each call, with names of their own")
  func inlines() throws {
    let twice = function(
      "Twice", ["a"], ["b"], [node("Add", ["a", "a"], ["sum"]), node("Identity", ["sum"], ["b"])])
    let fourfold = function(
      "Fourfold", ["sum"], ["y"],
      [node("Twice", domain: "local", ["sum"], ["b"]), node("Twice", domain: "local", ["b"], ["y"])])
    var writer = writer([twice, fourfold])
    writer.node("Fourfold", domain: "local", ["x"], ["b"])
    writer.node("Fourfold", domain: "local", ["b"], ["y"])
    #expect(try answer(writer, [1, 2, -3, 0.5]) == [16, 32, -48, 8])
  }

  @Test("an attribute of a function is that of the call, or its default")
  func attributes() throws {
    var standard = MessageWriter()
    standard.message(11) {
      $0.text(1, "slope")
      $0.float(2, 0.25)
      $0.integer(20, 1)
    }
    let leaky = function(
      "Leaky", ["a"], ["b"], [node("LeakyRelu", ["a"], ["b"], [reference("alpha", to: "slope", type: 1)])],
      more: standard.bytes)
    var model = writer([leaky])
    model.node("Leaky", domain: "local", ["x"], ["y"])
    #expect(try answer(model, [4, -4]) == [4, -1])
    model.nodes = []
    model.node("Leaky", domain: "local", ["x"], ["y"], ["slope": .float(0.5)])
    #expect(try answer(model, [4, -4]) == [4, -2])
  }

  @Test("functions that call themselves, or too many of them, are refused")
  func refusesRecursion() {
    var model = writer([function("F", ["a"], ["b"], [node("F", domain: "local", ["a"], ["b"])])])
    model.node("F", domain: "local", ["x"], ["y"])
    #expect(refusal(model).contains("functions call each other more than 8 deep"))

    // Each calls the next one ten times: a small file that would become ten million nodes.
    let many = (0..<8).map { level in
      function(
        "F\(level)", ["a"], ["v9"],
        (0..<10).map {
          let from = $0 == 0 ? "a" : "v\($0 - 1)"
          return level == 7
            ? node("Neg", [from], ["v\($0)"]) : node("F\(level + 1)", domain: "local", [from], ["v\($0)"])
        })
    }
    model = writer(many)
    model.node("F0", domain: "local", ["x"], ["y"])
    #expect(refusal(model).contains("its functions make the model too large"))
  }

  @Test("two functions of one name are refused, and calls with too many inputs")
  func refusesConfusion() {
    let one = function("F", ["a"], ["b"], [node("Neg", ["a"], ["b"])])
    var model = writer([one, one])
    model.node("F", domain: "local", ["x"], ["y"])
    #expect(refusal(model).contains("two functions 'F'"))
    model = writer([one])
    model.node("F", domain: "local", ["x", "x"], ["y"])
    #expect(refusal(model).contains("has more inputs or outputs than the function has"))
  }

  @Test("a graph inside a node reads values of the graph around it")
  func captures() throws {
    var body = MessageWriter()
    body.data(1, node("Mul", ["slice", "factor"], ["scaled"]))
    body.data(1, node("Add", ["sum", "scaled"], ["next"]))
    body.data(1, node("Identity", ["next"], ["shown"]))
    body.text(2, "body")
    for name in ["sum", "slice"] { body.data(11, ONNXWriter.value(name, type: 1, [nil])) }
    for name in ["next", "shown"] { body.data(12, ONNXWriter.value(name, type: 1, [nil])) }
    var attribute = MessageWriter()
    attribute.data(6, body.bytes)
    attribute.integer(20, 5)
    var model = writer([])
    model.initializer("factor", type: 1, dims: []) { $0.float(4, 10) }
    model.initializer("axis", type: 7, dims: [1]) { $0.integer(7, 1) }
    model.node("ReduceSum", ["x", "axis"], ["zeroish"], ["keepdims": .integer(0)])
    model.node("Sub", ["zeroish", "zeroish"], ["zero"])
    model.node(
      "Scan", ["zero", "x"], ["last", "y"],
      [
        "body": .raw(attribute.bytes), "num_scan_inputs": .integer(1), "scan_input_axes": .integers([1]),
        "scan_output_axes": .integers([1]),
      ])
    // Running sums of ten times each row.
    #expect(try answer(model, [1, 2, 3, 4]) == [10, 30, 30, 70])
  }

  @Test("graphs inside graphs are refused beyond a depth")
  func refusesDepth() {
    var graph = MessageWriter()
    graph.data(12, ONNXWriter.value("y", type: 1, [nil]))
    for _ in 0..<9 {
      var attribute = MessageWriter()
      attribute.text(1, "then_branch")
      attribute.data(6, graph.bytes)
      attribute.integer(20, 5)
      graph = MessageWriter()
      graph.data(1, node("If", ["c"], ["y"], [attribute.bytes]))
      graph.data(12, ONNXWriter.value("y", type: 1, [nil]))
    }
    var attribute = MessageWriter()
    attribute.data(6, graph.bytes)
    attribute.integer(20, 5)
    var model = writer([])
    model.node("If", ["x"], ["y"], ["then_branch": .raw(attribute.bytes)])
    #expect(refusal(model).contains("graphs lie inside each other more than 8 deep"))
  }
}
