import MartletCore
import Testing

@testable import MartletEngine

/// Random numbers that are the same in every run.
struct FixedRandom: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    // Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

@Suite("Operators of the default domain under hostile models")
struct StandardOperatorsHostileTests {
  private static let types: [ElementType] = [
    .float32, .float32, .float32, .int64, .int64, .float64, .int32, .bool, .text, .uint8, .float16, .uint64, .int8,
  ]
  private static let integers: [Int64] = [
    0, 1, -1, 2, 3, -2, 4, 7, -8, 8, 1 << 20, 1 << 31, 1 << 40, 1 << 62, .max, .min, .min + 1, .max - 1,
  ]
  private static let reals: [Double] = [
    0, -0.0, 1, -1, 0.5, 2.5, -3, .nan, .infinity, -.infinity, 1e308, -1e-308, 1e19, -1e10, 127, 255, 4e9,
  ]
  private static let names = [
    "axis", "axes", "keepdims", "alpha", "beta", "transA", "transB", "perm", "k", "largest", "sorted", "to", "fmod",
    "start", "end", "starts", "ends", "steps", "split", "num_outputs", "pads", "value", "mode", "min", "max",
    "allowzero", "batch_dims", "exclusive", "reverse", "select_last_index", "noop_with_empty_axes", "equation",
    "upper", "detect_positive", "value_ints", "value_floats", "gamma",
  ]

  private static func tensor(_ random: inout FixedRandom, like other: Value?) -> Value {
    let type = other?.type ?? types.randomElement(using: &random)!
    var shape = (0..<Int.random(in: 0...4, using: &random)).map { _ in Int.random(in: 0...3, using: &random) }
    if let other, Bool.random(using: &random) { shape = other.shape }
    let count = shape.reduce(1, *)
    if type == .text {
      let words = ["", "a", "12", "-3.5", "1e400", "nan", String(repeating: "7", count: 300), "x"]
      return Value(texts: (0..<count).map { _ in words.randomElement(using: &random)! }, shape)
    }
    func whole<T: FixedWidthInteger & BitwiseCopyable>(_: T.Type) -> Value {
      Value((0..<count).map { _ in T(truncatingIfNeeded: integers.randomElement(using: &random)!) }, shape)
    }
    switch type {
    case .float32: return Value((0..<count).map { _ in Float(reals.randomElement(using: &random)!) }, shape)
    case .float64: return Value((0..<count).map { _ in reals.randomElement(using: &random)! }, shape)
    case .float16: return Value((0..<count).map { _ in Float16(reals.randomElement(using: &random)!) }, shape)
    case .bool: return Value(.bool, shape, bytes: (0..<count).map { _ in UInt8.random(in: 0...1, using: &random) })
    case .int64: return whole(Int64.self)
    case .int32: return whole(Int32.self)
    case .int8: return whole(Int8.self)
    case .uint64: return whole(UInt64.self)
    default: return whole(UInt8.self)
    }
  }

  private static func attribute(_ random: inout FixedRandom, _ name: String) -> AttributeValue {
    if name == "mode" { return .text(Bool.random(using: &random) ? "constant" : "reflect") }
    if name == "equation" {
      return .text(
        ["ij,jk->ik", "ij,ij->j", "i", "ii->i", "ij->", "a,b->ab", "->", "-", "i...->i", "ij,k"].randomElement(
          using: &random)!)
    }
    if name == "value", Bool.random(using: &random) { return .tensor(tensor(&random, like: nil).constant) }
    let few = (0..<Int.random(in: 0...6, using: &random)).map { _ in integers.randomElement(using: &random)! }
    switch Int.random(in: 0...8, using: &random) {
    case 0...4: return .integer(Int64.random(in: -3...13, using: &random))
    case 5: return .integer(integers.randomElement(using: &random)!)
    case 6: return .integers(few)
    case 7: return .integers(few.map { $0 % 3 })
    default: return .float(Float(reals.randomElement(using: &random)!))
    }
  }

  @Test(
    "an operator never ends the process, whatever it is given",
    // Those that run graphs take none of these attributes.
    arguments: OperatorRegistry.standard.map(\.opType).filter { $0 != "If" && $0 != "Scan" })
  func neverTraps(opType: String) {
    var random = FixedRandom(state: opType.utf8.reduce(7) { $0 &* 31 &+ UInt64($1) })
    let lowest = OperatorRegistry.standard.first { $0.opType == opType }!.opsets.lowerBound
    var successes = 0
    var tries = 0
    // An operator that is choosy about its inputs is tried until it has taken some.
    while tries < 500 || (successes == 0 && tries < 20_000) {
      tries += 1
      let opset = Int.random(in: lowest...OperatorRegistry.newest, using: &random)
      var attributes: [String: AttributeValue] = [:]
      for name in Self.names where Int.random(in: 0...7, using: &random) == 0 {
        attributes[name] = Self.attribute(&random, name)
      }
      if opType == "Einsum" { attributes["equation"] = Self.attribute(&random, "equation") }
      let node = SingleOperator(
        opType, opset: opset, outputs: Int.random(in: 1...3, using: &random),
        opType == "Constant" ? ["value_ints": .integers([1])] : attributes)
      let first = Self.tensor(&random, like: nil)
      var inputs: [Value?] = opType == "Constant" ? [] : [first]
      for _ in 0..<Int.random(in: 0...4, using: &random) where opType != "Constant" {
        switch Int.random(in: 0...9, using: &random) {
        case 0: inputs.append(nil)
        case 1...4: inputs.append(Self.tensor(&random, like: first))
        case 5:
          let count = Int.random(in: 0...3, using: &random)
          inputs.append(Value(.bool, [count], bytes: (0..<count).map { _ in UInt8.random(in: 0...1, using: &random) }))
        case 6...7:
          // What steers an operator: a few small numbers.
          let count = Int.random(in: 0...2, using: &random)
          inputs.append(Value((0..<count).map { _ in Int64.random(in: -2...3, using: &random) }))
        case 8: inputs.append(Value([Int64.random(in: -2...2, using: &random)], []))
        default: inputs.append(Self.tensor(&random, like: nil))
        }
      }
      let known = Set(inputs.indices.filter { _ in Bool.random(using: &random) })
      // Most are refused; the others have to answer with the same bytes again.
      if let once = try? node.run(inputs, constants: known) {
        successes += 1
        #expect((try? node.run(inputs, constants: known, times: 2)) == once)
      }
    }
    #expect(successes > 0)
  }

  @Test("what would not fit into memory is refused")
  func refusesHugeResults() {
    let huge = Value([Int64(1) << 31])
    let vector = Value([Float(1), 2])
    #expect(SingleOperator("Expand").refusal(vector, Value([Int64(1) << 40, 2])) != nil)
    #expect(SingleOperator("Tile").refusal(vector, huge) != nil)
    #expect(SingleOperator("Tile").refusal(vector, Value([Int64.max])) != nil)
    #expect(SingleOperator("ConstantOfShape").refusal(huge) != nil)
    #expect(SingleOperator("ConstantOfShape").refusal(Value([Int64(1) << 32, 1 << 32, 1 << 32])) != nil)
    #expect(SingleOperator("ConstantOfShape").refusal(Value([Int64(-1)])) != nil)
    #expect(SingleOperator("Range").refusal(Value([0.0], []), Value([1e18], []), Value([1.0], [])) != nil)
    #expect(SingleOperator("Range").refusal(Value([1.0], []), Value([0.0], []), Value([0.0], [])) != nil)
    #expect(SingleOperator("Range").refusal(Value([0.0], []), Value([Double.nan], []), Value([1.0], [])) != nil)
    #expect(SingleOperator("Pad").refusal(vector, Value([Int64(1) << 31, 0])) != nil)
    #expect(SingleOperator("Pad").refusal(vector, Value([Int64.max, Int64.max])) != nil)
    #expect(SingleOperator("OneHot").refusal(Value([Int64(0)]), Value([Int64(1) << 40], []), vector) != nil)
    let tall = Value([Float](repeating: 1, count: 20_000), [20_000, 1])
    #expect(SingleOperator("MatMul").refusal(tall, Value([Float](repeating: 1, count: 20_000), [1, 20_000])) != nil)
  }

  @Test("a dimension beyond what sums of sizes hold is refused beside an empty one as well")
  func refusesHugeEmptyShapes() {
    let empty = Value([Float](), [0])
    #expect(SingleOperator("ConstantOfShape").refusal(Value([Int64(0), 1 << 62])) != nil)
    #expect(SingleOperator("Reshape", ["allowzero": .integer(1)]).refusal(empty, Value([Int64(0), 1 << 62])) != nil)
  }

  @Test("more dimensions than the engine has are refused where an operator would add them")
  func refusesTooManyDimensions() {
    let deep = Value([Float(1)], [1, 1, 1, 1, 1, 1, 1, 1])
    #expect(SingleOperator("Unsqueeze").refusal(deep, Value([Int64(0)])) != nil)
    #expect(SingleOperator("Reshape").refusal(deep, Value([Int64](repeating: 1, count: 9))) != nil)
    #expect(SingleOperator("Gather").refusal(deep, Value([Int64(0)], [1, 1])) != nil)
    #expect(SingleOperator("OneHot").refusal(deep, Value([Int64(2)], []), Value([Float(0), 1])) != nil)
  }

  @Test("made-up rows of the planning run are not refused for their values")
  func planning() throws {
    let zero = Value([Int64(0)])
    #expect(try SingleOperator("Div")(Value([Int64(5)]), zero, isPlanning: true)[0].shape == [1])
    #expect(try SingleOperator("Mod")(Value([Int64(5)]), zero, isPlanning: true)[0].shape == [1])
    #expect(
      try SingleOperator("Cast", ["to": .integer(1)])(Value(texts: ["?", "2"]), isPlanning: true) == [
        Value([Float(0), 2])
      ])
    #expect(
      try SingleOperator("Gather")(Value(texts: ["a"]), Value([Int64(7)]), isPlanning: true) == [Value(texts: [""])])
    #expect(throws: Status.self) {
      try SingleOperator("Add")(Value([Float(1), 2]), Value([Float(1), 2, 3]), isPlanning: true)
    }
  }
}
