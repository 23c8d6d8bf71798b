import MartletCore
import Testing

@testable import MartletEngine

@Suite("Elementwise operators of the default domain")
struct StandardOperatorsElementwiseTests {
  private let nan = Float.nan
  private let infinity = Float.infinity

  @Test("dimensions are aligned from the last and those of size 1 are repeated")
  func broadcasts() throws {
    let column = Value([Float(1), 2], [2, 1])
    let row = Value([Float(10), 20, 30])
    #expect(try SingleOperator("Add").first(column, row) == Value([Float(11), 21, 31, 12, 22, 32], [2, 3]))
    #expect(try SingleOperator("Sub").first(row, column) == Value([Float(9), 19, 29, 8, 18, 28], [2, 3]))
    let cube = Value([Float(1), 2, 3, 4], [2, 1, 2])
    #expect(
      try SingleOperator("Mul").first(cube, column)
        == Value([Float(1), 2, 2, 4, 3, 4, 6, 8], [2, 2, 2]))
    #expect(try SingleOperator("Add").first(Value([Float](), [0, 3]), row) == Value([Float](), [0, 3]))
    #expect(try SingleOperator("Add").first(Value([Float(1)], []), Value([Float(2)], [])) == Value([Float(3)], []))
  }

  @Test("shapes that do not broadcast are refused with both shapes")
  func refusesShapes() {
    let message = SingleOperator("Add").refusal(Value([Float(1), 2]), Value([Float(1), 2, 3]))
    #expect(message?.contains("[2]") == true && message?.contains("[3]") == true)
  }

  @Test("operands of different types are refused when the operator is made")
  func refusesTypes() {
    let message = SingleOperator("Add").refusal(Value([Float(1)]), Value([1.0]))
    #expect(message == "Add node 'node': input 1 is float64, expected one of float32")
  }

  @Test("whole numbers are divided towards zero, wrap around, and are never divided by zero")
  func wholeNumbers() throws {
    #expect(
      try SingleOperator("Div").first(Value([Int64(7), -7, .min]), Value([Int64(2), 2, -1]))
        == Value([Int64(3), -3, .min]))
    #expect(try SingleOperator("Add").first(Value([Int32.max]), Value([Int32(1)])) == Value([Int32.min]))
    #expect(SingleOperator("Div").refusal(Value([Int32(1)]), Value([Int32(0)])) == "a whole number is divided by zero")
    #expect(SingleOperator("Mod").refusal(Value([Int64(1)]), Value([Int64(0)])) == "a whole number is divided by zero")
    #expect(try SingleOperator("Mod").first(Value([Int64.min]), Value([Int64(-1)])) == Value([Int64(0)]))
  }

  @Test("a remainder has the sign of the divisor, or of the dividend with fmod")
  func remainders() throws {
    let a = Value([Int64(7), -7, 7, -7])
    let b = Value([Int64(3), 3, -3, -3])
    #expect(try SingleOperator("Mod").first(a, b) == Value([Int64(1), 2, -2, -1]))
    #expect(try SingleOperator("Mod", ["fmod": .integer(1)]).first(a, b) == Value([Int64(1), -1, 1, -1]))
    let reals = Value([5.5, -5.5, 3, -0.0])
    let twos = Value([Double(2)])
    #expect(try SingleOperator("Mod", ["fmod": .integer(1)]).first(reals, twos) == Value([1.5, -1.5, 1, -0.0]))
    #expect(try SingleOperator("Mod").first(reals, twos) == Value([1.5, 0.5, 1, 0]))
    #expect(SingleOperator("Mod", opset: 13).refusal(reals, twos)?.contains("fmod") == true)
  }

  @Test("what is not a number wins in Min and Max, whichever operand it is")
  func extremes() throws {
    let a = Value([Float(1), nan, 3])
    let b = Value([nan, 2, 2])
    for name in ["Min", "Max"] {
      let result = try SingleOperator(name).first(a, b).array(of: Float.self)
      #expect(result[0].isNaN && result[1].isNaN)
      #expect(result[2] == (name == "Min" ? 2 : 3))
    }
  }

  @Test("variadic operators take any number of tensors and broadcast all of them")
  func variadic() throws {
    let a = Value([Float(1), 2], [2, 1])
    let b = Value([Float(10), 20, 30])
    let c = Value([Float(100)], [])
    #expect(try SingleOperator("Sum").first(a, b, c) == Value([Float(111), 121, 131, 112, 122, 132], [2, 3]))
    #expect(try SingleOperator("Mean").first(a, Value([Float(3), 5], [2, 1])) == Value([Float(2), 3.5], [2, 1]))
    #expect(try SingleOperator("Max").first(a) == a)
  }

  @Test("a power of whole numbers is truncated, and exponents may be of another type from version 12")
  func powers() throws {
    #expect(
      try SingleOperator("Pow").first(Value([Int64(2), 3, 2]), Value([Float(2.5), 0.5, -1]))
        == Value([Int64(5), 1, 0]))
    #expect(try SingleOperator("Pow").first(Value([Float(-2), 3]), Value([Int64(3)], [])) == Value([Float(-8), 27]))
    #expect(
      try SingleOperator("Pow").first(Value([Float(4), 2]), Value([0.5, 3.0])) == Value([Float(2), 8]))
    #expect(SingleOperator("Pow", opset: 7).refusal(Value([Float(2)]), Value([Int64(2)])) != nil)
    #expect(SingleOperator("Pow", opset: 7).refusal(Value([Int64(2)]), Value([Int64(2)])) != nil)
  }

  @Test("halves are rounded to the even neighbour")
  func rounds() throws {
    #expect(
      try SingleOperator("Round").first(Value([Float(0.5), 1.5, 2.5, -0.5, -1.5]))
        == Value([Float(0), 2, 2, -0.0, -2]))
  }

  @Test("signs of numbers, and of what is not one")
  func signs() throws {
    let result = try SingleOperator("Sign").first(Value([nan, -infinity, -0.0, 5])).array(of: Float.self)
    #expect(result[0].isNaN && result[1] == -1 && result[2] == 0 && result[3] == 1)
    #expect(try SingleOperator("Abs").first(Value([Int8.min, -3])) == Value([Int8.min, 3]))
    #expect(try SingleOperator("Neg").first(Value([Int32.min, 4])) == Value([Int32.min, -4]))
  }

  @Test("comparisons with what is not a number are false")
  func comparisons() throws {
    let a = Value([nan, 1, 2, infinity])
    let b = Value([nan, 1, 3, 0])
    let no: UInt8 = 0
    let yes: UInt8 = 1
    func bools(_ values: UInt8...) -> Value { Value(.bool, [values.count], bytes: values) }
    #expect(try SingleOperator("Equal").first(a, b) == bools(no, yes, no, no))
    #expect(try SingleOperator("Less").first(a, b) == bools(no, no, yes, no))
    #expect(try SingleOperator("LessOrEqual").first(a, b) == bools(no, yes, yes, no))
    #expect(try SingleOperator("Greater").first(a, b) == bools(no, no, no, yes))
    #expect(try SingleOperator("GreaterOrEqual").first(a, b) == bools(no, yes, no, yes))
    #expect(try SingleOperator("IsNaN").first(a) == bools(yes, no, no, no))
    #expect(try SingleOperator("IsInf").first(Value([nan, infinity, -infinity, 1])) == bools(no, yes, yes, no))
    #expect(
      try SingleOperator("IsInf", ["detect_negative": .integer(0)]).first(Value([infinity, -infinity]))
        == bools(yes, no))
  }

  @Test("texts are equal when their bytes are")
  func texts() throws {
    let a = Value(texts: ["", "ab", "ab", "Ä"], [2, 2])
    #expect(
      try SingleOperator("Equal").first(a, Value(texts: ["", "ab"])) == Value(.bool, [2, 2], bytes: [1, 1, 0, 0]))
    #expect(try SingleOperator("Equal").first(a, Value(texts: ["Ä"], [])).bytes == [0, 0, 0, 1])
  }

  @Test("truth values")
  func logic() throws {
    let a = Value(.bool, [4], bytes: [0, 0, 1, 1])
    let b = Value(.bool, [4], bytes: [0, 1, 0, 1])
    #expect(try SingleOperator("And").first(a, b).bytes == [0, 0, 0, 1])
    #expect(try SingleOperator("Or").first(a, b).bytes == [0, 1, 1, 1])
    #expect(try SingleOperator("Xor").first(a, b).bytes == [0, 1, 1, 0])
    #expect(try SingleOperator("Not").first(a).bytes == [1, 1, 0, 0])
  }

  @Test("Where takes from either side, all three broadcast")
  func selects() throws {
    let condition = Value(.bool, [2, 1], bytes: [1, 0])
    #expect(
      try SingleOperator("Where").first(condition, Value([Float(1), 2]), Value([Float(9)], []))
        == Value([Float(1), 2, 9, 9], [2, 2]))
    #expect(
      try SingleOperator("Where").first(condition, Value(texts: ["a"]), Value(texts: ["b"]))
        == Value(texts: ["a", "b"], [2, 1]))
  }

  @Test("Clip bounds by the type's finite values unless told otherwise; the upper bound wins")
  func clips() throws {
    let x = Value([-infinity, -2, 0.5, infinity])
    let low = Value([Float(0)], [])
    let high = Value([Float(1)], [])
    #expect(try SingleOperator("Clip").first(x, low, high) == Value([Float(0), 0, 0.5, 1]))
    #expect(try SingleOperator("Clip").first(x, nil, high).array(of: Float.self)[0] == -Float.greatestFiniteMagnitude)
    #expect(try SingleOperator("Clip").first(x, high, low) == Value([Float(0), 0, 0, 0]))
    #expect(
      try SingleOperator("Clip", opset: 6 + 1, ["min": .float(-1), "max": .float(0.25)]).first(x)
        == Value([Float(-1), -1, 0.25, 0.25]))
    #expect(try SingleOperator("Clip").first(Value([nan]), low, high).array(of: Float.self)[0].isNaN)
    #expect(SingleOperator("Clip").refusal(x, Value([Float(0), 1])) != nil)
  }

  @Test("the logistic function saturates without overflow")
  func logistic() throws {
    let y = try SingleOperator("Sigmoid").first(Value([Float(0), 200, -200, infinity, -infinity, nan]))
      .array(of: Float.self)
    #expect(y[0] == 0.5 && y[1] == 1 && y[2] == 0 && y[3] == 1 && y[4] == 0 && y[5].isNaN)
  }

  @Test("activations below and above their bend")
  func activations() throws {
    let x = Value([Float(-2), 0, 3])
    #expect(try SingleOperator("Relu").first(x) == Value([Float(0), 0, 3]))
    #expect(try SingleOperator("Relu").first(Value([Int32(-2), 3])) == Value([Int32(0), 3]))
    #expect(try SingleOperator("LeakyRelu", ["alpha": .float(0.25)]).first(x) == Value([Float(-0.5), 0, 3]))
    #expect(try SingleOperator("PRelu").first(x, Value([Float(0.5)])) == Value([Float(-1), 0, 3]))
    #expect(try SingleOperator("ThresholdedRelu", ["alpha": .float(2)]).first(x) == Value([Float(0), 0, 3]))
    #expect(try SingleOperator("Softsign").first(x) == Value([Float(-2) / 3, 0, 0.75]))
    #expect(
      try SingleOperator("HardSigmoid", ["alpha": .float(0.25), "beta": .float(0.5)]).first(x)
        == Value([Float(0), 0.5, 1]))
    #expect(try SingleOperator("Softplus").first(Value([Float(200), -200])) == Value([Float(200), 0]))
    #expect(SingleOperator("PRelu").refusal(Value([Float(1)]), Value([Float(1), 2])) != nil)
  }

  @Test("a softmax is over everything behind the axis up to version 12, over one axis from then on")
  func softmax() throws {
    let x = Value([Float](repeating: 7, count: 8), [2, 2, 2])
    #expect(
      try SingleOperator("Softmax", opset: 12).first(x) == Value([Float](repeating: 0.25, count: 8), [2, 2, 2]))
    #expect(try SingleOperator("Softmax").first(x) == Value([Float](repeating: 0.5, count: 8), [2, 2, 2]))
    let large = try SingleOperator("Softmax").first(Value([Float(1000), 0])).array(of: Float.self)
    #expect(large == [1, 0])
    let logarithms = try SingleOperator("LogSoftmax", ["axis": .integer(0)]).first(Value([2.0, 2.0], [2, 1]))
    #expect(logarithms.array(of: Double.self).allSatisfy { abs($0 + 0.6931471805599453) < 1e-15 })
    #expect(try SingleOperator("Softmax").first(Value([Float](), [0, 3])) == Value([Float](), [0, 3]))
  }

  @Test("dropout gives its input and refuses to train")
  func dropout() throws {
    let x = Value([Float(1), 2])
    let node = SingleOperator("Dropout", outputs: 2)
    #expect(try node(x) == [x, Value(.bool, [2], bytes: [1, 1])])
    let training = Value(.bool, [], bytes: [1])
    #expect(node.refusal(x, nil, training, constants: [2])?.contains("training_mode") == true)
    #expect(try node(x, nil, Value(.bool, [], bytes: [0]), constants: [2])[0] == x)
  }
}
