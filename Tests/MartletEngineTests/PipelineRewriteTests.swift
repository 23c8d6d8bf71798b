import MartletCore
import Testing

@testable import MartletEngine

/// Plans whose steps stand for several operators, against the operators one by one.
@Suite("Rewritten plans")
struct PipelineRewriteTests {
  @Test("a random pipeline gives the bits of its operators, whatever the batch", arguments: 0..<200)
  func equal(_ seed: Int) throws {
    let pipeline = RandomPipeline(seed: UInt64(seed) &* 0x1234_5677 &+ 1)
    let rewritten = try GraphPlanner.plan(
      pipeline.graph, featureNames: nil, options: PlanningOptions(measuringNanoseconds: 0, rewritesSteps: true))
    let plain = try GraphPlanner.plan(
      pipeline.graph, featureNames: nil, options: PlanningOptions(measuringNanoseconds: 0, rewritesSteps: false))
    let rows = 150
    let expected = try plain.score(rows: rows, in: rows, seed: UInt64(seed))
    for (chunk, isCoded) in [(rows, false), (rows, true), (1, true), (7, false), (64, true)] {
      let found = try rewritten.score(rows: rows, in: chunk, seed: UInt64(seed), isCoded: isCoded)
      for (index, output) in plain.signature.outputs.enumerated() {
        let different = zip(found[index], expected[index]).enumerated().first { $0.element.0 != $0.element.1 }
        #expect(
          different == nil,
          "output '\(output.name)' differs from byte \(different?.offset ?? -1) on with \(chunk) rows at once")
      }
    }
  }

  @Test("most random pipelines are rewritten")
  func rewritten() throws {
    let saved = try (0..<40).map { seed in
      let pipeline = RandomPipeline(seed: UInt64(seed) &* 0x1234_5677 &+ 1)
      let rewritten = try GraphPlanner.plan(
        pipeline.graph, featureNames: nil, options: PlanningOptions(measuringNanoseconds: 0, rewritesSteps: true))
      let plain = try GraphPlanner.plan(
        pipeline.graph, featureNames: nil, options: PlanningOptions(measuringNanoseconds: 0, rewritesSteps: false))
      return plain.steps.count - rewritten.steps.count
    }
    #expect(saved.filter { $0 > 0 }.count > 30)
    #expect(saved.allSatisfy { $0 >= 0 })
  }

  @Test("most random pipelines with texts take their numbers")
  func coded() throws {
    let plans = try (0..<60).map { seed in
      try GraphPlanner.plan(
        RandomPipeline(seed: UInt64(seed) &* 0x1234_5677 &+ 1).graph, featureNames: nil,
        options: PlanningOptions(measuringNanoseconds: 0, rewritesSteps: true))
    }
    let withTexts = plans.filter { $0.signature.inputs.contains { $0.type == .text } }
    let coded = withTexts.filter { $0.textCoding != nil }
    #expect(withTexts.count > 20)
    #expect(coded.count * 2 > withTexts.count)
  }

  // MARK: One pipeline

  /// One-hot texts and a scaled number before a linear model; `zeros`: whether unknown texts are zeros or refused.
  private func graph(zeros: Int64, coefficient: Float = 0.5) -> Graph {
    Graph(
      inputs: [
        Graph.Value(name: "word", type: .text, shape: [nil, 1]),
        Graph.Value(name: "x", type: .float32, shape: [nil, 1]),
      ],
      outputs: [Graph.Value(name: "y", type: nil, shape: nil)],
      nodes: [
        .exported(
          "OneHotEncoder", ["word"], ["hot"], ml: true,
          ["cats_strings": .texts(ConstantTensor(strings: ["no", "yes"])), "zeros": .integer(zeros)]),
        .exported("Reshape", ["hot", "shape"], ["flat"], ml: false),
        .exported("Scaler", ["x"], ["scaled"], ml: true, ["offset": .floats([1]), "scale": .floats([0.1])]),
        .exported("Concat", ["flat", "scaled"], ["features"], ml: false, ["axis": .integer(1)]),
        .exported(
          "LinearRegressor", ["features"], ["y"], ml: true,
          ["coefficients": .floats([coefficient, -2, 3]), "intercepts": .floats([0.25])]),
      ],
      initializers: ["shape": ConstantTensor(.int64, Shape(2), [Int64(-1), 2])])
  }

  @Test("a linear model behind encoders is one step")
  func oneStep() throws {
    let plan = try GraphPlanner.plan(
      graph(zeros: 1), featureNames: nil, options: PlanningOptions(measuringNanoseconds: 0, rewritesSteps: true))
    #expect(plan.steps.count == 1)
    for isCoded in [false, true] {
      let scores = try plan.score(["no", "yes", "maybe", ""], [1, 1, 11, 1], isCoded: isCoded)
      #expect(scores == [0.75, -1.75, 3.25, 0.25])
    }
    let tile = Tile(plan: plan, capacity: 4)
    #expect(tile.stride(0) == 2 && tile.stride(1) == 4)
    #expect(tile.bytes(forRows: 4) + 5 * 14 == Tile(signature: plan.signature, capacity: 4).blockBytes)
  }

  @Test("texts that something else reads stay texts")
  func kept() throws {
    var echo = graph(zeros: 1)
    echo.outputs.append(Graph.Value(name: "same", type: nil, shape: nil))
    echo.nodes.append(.exported("Identity", ["word"], ["same"], ml: false))
    let options = PlanningOptions(measuringNanoseconds: 0, rewritesSteps: true)
    #expect(try GraphPlanner.plan(echo, featureNames: nil, options: options).textCoding == nil)
    #expect(try GraphPlanner.plan(graph(zeros: 1), featureNames: nil, options: options).textCoding != nil)
    let off = PlanningOptions(measuringNanoseconds: 0, rewritesSteps: false)
    #expect(try GraphPlanner.plan(graph(zeros: 1), featureNames: nil, options: off).textCoding == nil)
  }

  @Test("numbers of texts are only those of the tile's own plan")
  func foreign() throws {
    let options = PlanningOptions(measuringNanoseconds: 0, rewritesSteps: true)
    let plans = try (0..<2).map { _ in try GraphPlanner.plan(graph(zeros: 1), featureNames: nil, options: options) }
    let tile = Tile(plan: plans[0], capacity: 1)
    #expect(throws: Status.self) { try plans[1].score(tile, rows: 0..<1, scratch: plans[1].makeScratch()) }
  }

  @Test("steps that give back their input are taken out, before and behind others")
  func views() throws {
    let graph = Graph(
      inputs: [Graph.Value(name: "x", type: .float32, shape: [nil, 2])],
      outputs: ["y", "z"].map { Graph.Value(name: $0, type: nil, shape: nil) },
      nodes: [
        .exported("Identity", ["x"], ["a"], ml: false), .exported("Cast", ["a"], ["b"], ml: false, ["to": .integer(1)]),
        .exported("Exp", ["b"], ["c"], ml: false), .exported("Reshape", ["c", "shape"], ["y"], ml: false),
        .exported("Sin", ["b"], ["d"], ml: false), .exported("Identity", ["d"], ["z"], ml: false),
        .exported("Cos", ["d"], ["unread"], ml: false),
      ], initializers: ["shape": ConstantTensor(.int64, Shape(2), [Int64(-1), 2])])
    let plan = try GraphPlanner.plan(graph, featureNames: nil, options: PlanningOptions(measuringNanoseconds: 0))
    #expect(plan.steps.count == 2)
    let tile = Tile(signature: plan.signature, capacity: 2)
    let x = tile.input(0).assumingMemoryBound(to: Float.self)
    for index in 0..<4 { x[index] = Float(index) - 1 }
    try plan.score(tile, rows: 0..<2, scratch: plan.makeScratch())
    let y = tile.output(0).assumingMemoryBound(to: Float.self)
    let z = tile.output(1).assumingMemoryBound(to: Float.self)
    #expect((0..<4).allSatisfy { y[$0] == Float.exponential(x[$0]) && z[$0] == Float.sine(x[$0]) })
  }

  @Test("weights that are not finite are multiplied with every feature")
  func infinite() throws {
    let plan = try GraphPlanner.plan(
      graph(zeros: 1, coefficient: .infinity), featureNames: nil,
      options: PlanningOptions(measuringNanoseconds: 0, rewritesSteps: true))
    #expect(plan.steps.count == 2)
    let scores = try plan.score(["no", "yes"], [1, 1])
    #expect(scores[0] == .infinity && scores[1].isNaN)
  }

  @Test("a refused category is refused with the operator's own words")
  func refused() throws {
    for (rewrites, isCoded) in [(true, true), (true, false), (false, false)] {
      let plan = try GraphPlanner.plan(
        graph(zeros: 0), featureNames: nil, options: PlanningOptions(measuringNanoseconds: 0, rewritesSteps: rewrites))
      #expect((plan.textCoding != nil) == rewrites)
      #expect(try plan.score(["no", "yes"], [1, 1], isCoded: isCoded) == [0.75, -1.75])
      let error = #expect(throws: Status.self) { try plan.score(["no", "maybe"], [1, 1], isCoded: isCoded) }
      #expect(error?.code == .invalidArgument)
      #expect(
        error?.message.contains("OneHotEncoder node 'onehotencoder': element 1 of input 0 is in no category") == true)
    }
  }
}
