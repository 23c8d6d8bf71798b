import MartletCore
import Testing

@testable import MartletEngine

@Suite("Operators of the default domain that move elements")
struct StandardOperatorsShapeTests {
  private func count(_ elements: Int, _ shape: [Int]) -> Value { Value((0..<elements).map(Int64.init), shape) }
  private func numbers(_ values: Int64...) -> Value { Value(values) }

  @Test("a shape keeps dimensions by 0 and infers one by -1, also for a batch without rows")
  func reshapes() throws {
    let x = count(6, [2, 3])
    #expect(try SingleOperator("Reshape").first(x, numbers(0, -1)).shape == [2, 3])
    #expect(try SingleOperator("Reshape").first(x, numbers(-1)).shape == [6])
    #expect(try SingleOperator("Reshape").first(x, numbers(3, 2)) == count(6, [3, 2]))
    #expect(try SingleOperator("Reshape").first(count(1, [1]), Value([Int64](), [0])).shape == [])
    let empty = Value([Float](), [0, 6])
    #expect(try SingleOperator("Reshape").first(empty, numbers(-1, 3)).shape == [0, 3])
    #expect(try SingleOperator("Reshape").first(empty, numbers(0, 2, -1)).shape == [0, 2, 3])
    #expect(
      try SingleOperator("Reshape", ["allowzero": .integer(1)]).first(empty, numbers(3, 0)).shape == [3, 0])
  }

  @Test("a shape that the elements do not fit is refused with both")
  func refusesReshape() {
    let message = SingleOperator("Reshape").refusal(count(6, [2, 3]), numbers(4, -1))
    #expect(message == "6 elements of shape [2, 3] do not fit the shape [4, -1]")
    #expect(SingleOperator("Reshape").refusal(count(6, [2, 3]), numbers(-1, -1)) != nil)
    #expect(SingleOperator("Reshape").refusal(count(6, [2, 3]), numbers(6, -2)) != nil)
    #expect(SingleOperator("Reshape").refusal(count(6, [6]), numbers(6, 0)) != nil)
  }

  @Test("axes are an attribute of Squeeze and Unsqueeze up to version 12, an input from then on")
  func squeezes() throws {
    let x = count(3, [1, 3, 1])
    #expect(try SingleOperator("Squeeze").first(x).shape == [3])
    #expect(try SingleOperator("Squeeze").first(x, numbers(-1)).shape == [1, 3])
    #expect(try SingleOperator("Squeeze", opset: 11, ["axes": .integers([0])]).first(x).shape == [3, 1])
    #expect(SingleOperator("Squeeze").refusal(x, numbers(1)) != nil)
    #expect(try SingleOperator("Unsqueeze").first(count(3, [3]), numbers(0, -1)).shape == [1, 3, 1])
    #expect(
      try SingleOperator("Unsqueeze", opset: 11, ["axes": .integers([1])]).first(count(3, [3])).shape == [3, 1])
    #expect(SingleOperator("Unsqueeze").refusal(count(3, [3]), numbers(0, 0)) == "axis 0 is named twice")
    #expect(SingleOperator("Unsqueeze", opset: 11).refusal(count(3, [3]))?.contains("axes") == true)
  }

  @Test("dimensions, parts of them, and the number of elements")
  func queries() throws {
    let x = count(24, [2, 3, 4])
    #expect(try SingleOperator("Shape").first(x) == numbers(2, 3, 4))
    #expect(try SingleOperator("Shape", ["start": .integer(-2), "end": .integer(9)]).first(x) == numbers(3, 4))
    #expect(try SingleOperator("Shape", ["start": .integer(2), "end": .integer(1)]).first(x) == Value([Int64](), [0]))
    #expect(try SingleOperator("Size").first(x) == Value([Int64(24)], []))
    #expect(try SingleOperator("Flatten", ["axis": .integer(2)]).first(x).shape == [6, 4])
    #expect(try SingleOperator("Flatten", ["axis": .integer(0)]).first(x).shape == [1, 24])
    #expect(try SingleOperator("Flatten", ["axis": .integer(3)]).first(x).shape == [24, 1])
  }

  @Test("dimensions change their order")
  func transposes() throws {
    #expect(try SingleOperator("Transpose").first(count(6, [2, 3])) == Value([Int64(0), 3, 1, 4, 2, 5], [3, 2]))
    #expect(
      try SingleOperator("Transpose", ["perm": .integers([1, 0, 2])]).first(count(8, [2, 2, 2]))
        == Value([Int64(0), 1, 4, 5, 2, 3, 6, 7], [2, 2, 2]))
    #expect(
      try SingleOperator("Transpose").first(Value(texts: ["a", "b"], [1, 2])) == Value(texts: ["a", "b"], [2, 1]))
    #expect(SingleOperator("Transpose", ["perm": .integers([0, 0])]).refusal(count(6, [2, 3])) != nil)
    #expect(SingleOperator("Transpose", ["perm": .integers([0, 1, 2])]).refusal(count(6, [2, 3])) != nil)
  }

  @Test("tensors lie behind each other along an axis")
  func concatenates() throws {
    let node = SingleOperator("Concat", ["axis": .integer(1)])
    #expect(
      try node.first(count(2, [2, 1]), count(4, [2, 2]), Value([Int64](), [2, 0]))
        == Value([Int64(0), 0, 1, 1, 2, 3], [2, 3]))
    #expect(
      try node.first(Value(texts: ["a", "b"], [2, 1]), Value(texts: ["c", "d"], [2, 1]))
        == Value(texts: ["a", "c", "b", "d"], [2, 2]))
    #expect(node.refusal(count(2, [2, 1]), count(3, [3, 1])) != nil)
    #expect(node.refusal(count(2, [2, 1]), count(2, [2])) != nil)
    #expect(SingleOperator("Concat").refusal(count(2, [2])) == "Concat node 'node': attribute 'axis' is missing")
  }

  @Test("parts have given sizes or equal ones, and the last may be smaller from version 18")
  func splits() throws {
    let x = count(5, [5])
    #expect(try SingleOperator("Split", outputs: 2, ["num_outputs": .integer(2)])(x).map(\.shape) == [[3], [2]])
    #expect(
      try SingleOperator("Split", outputs: 2)(x, numbers(1, 4), constants: [1]) == [
        numbers(0), numbers(1, 2, 3, 4),
      ])
    #expect(SingleOperator("Split", opset: 13, outputs: 2).refusal(x) != nil)
    #expect(SingleOperator("Split", outputs: 2).refusal(x, numbers(1, 3), constants: [1]) != nil)
    #expect(SingleOperator("Split", outputs: 3).refusal(x, numbers(1, 4), constants: [1]) != nil)
    #expect(try SingleOperator("Split", opset: 11, outputs: 2, ["split": .integers([2, 3])])(x)[1] == numbers(2, 3, 4))
  }

  @Test("slices go forwards and backwards and stop at the ends")
  func slices() throws {
    let x = count(5, [5])
    let node = SingleOperator("Slice")
    #expect(try node.first(x, numbers(1), numbers(.max)) == numbers(1, 2, 3, 4))
    #expect(try node.first(x, numbers(-2), numbers(5)) == numbers(3, 4))
    #expect(try node.first(x, numbers(-1), numbers(.min), numbers(0), numbers(-2)) == numbers(4, 2, 0))
    #expect(try node.first(x, numbers(.max), numbers(.min), numbers(0), numbers(.min)) == numbers(4))
    #expect(try node.first(x, numbers(0), numbers(.max), numbers(0), numbers(.max)) == numbers(0))
    #expect(try node.first(x, numbers(3), numbers(1)).shape == [0])
    #expect(
      try node.first(count(6, [2, 3]), numbers(1), numbers(3), numbers(-1)) == Value([Int64(1), 2, 4, 5], [2, 2]))
    #expect(node.refusal(x, numbers(0), numbers(1), numbers(0), numbers(0)) == "steps has a 0")
    #expect(node.refusal(x, numbers(0), numbers(1, 2)) != nil)
    #expect(node.refusal(x, numbers(0), numbers(1), numbers(1)) != nil)
    #expect(
      try SingleOperator("Slice", opset: 9, ["starts": .integers([1]), "ends": .integers([-1])]).first(x)
        == numbers(1, 2, 3))
  }

  @Test("a tensor is repeated, against a shape or along its axes")
  func repeats() throws {
    #expect(
      try SingleOperator("Expand").first(count(2, [2, 1]), numbers(3, 1, 2))
        == Value([Int64(0), 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1], [3, 2, 2]))
    #expect(try SingleOperator("Expand").first(count(2, [2, 1]), numbers(1)).shape == [2, 1])
    #expect(
      try SingleOperator("Tile").first(count(2, [1, 2]), numbers(2, 2))
        == Value([Int64(0), 1, 0, 1, 0, 1, 0, 1], [2, 4]))
    #expect(try SingleOperator("Tile").first(count(2, [2]), numbers(0)).shape == [0])
    #expect(SingleOperator("Tile").refusal(count(2, [2]), numbers(-1)) != nil)
    #expect(SingleOperator("Expand").refusal(count(2, [2]), numbers(3)) != nil)
  }

  @Test("a border is added or, of negative width, cut away")
  func pads() throws {
    let x = count(4, [2, 2])
    #expect(
      try SingleOperator("Pad").first(x, numbers(0, 1, 0, 0), Value([Int64(9)], []))
        == Value([Int64(9), 0, 1, 9, 2, 3], [2, 3]))
    #expect(try SingleOperator("Pad").first(x, numbers(1, -1), nil, numbers(0)) == Value([Int64(0), 0, 0, 1], [2, 2]))
    #expect(try SingleOperator("Pad").first(count(3, [3]), numbers(-1, 2)) == numbers(1, 2, 0, 0))
    #expect(
      try SingleOperator("Pad", opset: 7, ["pads": .integers([1, 0]), "value": .float(2)]).first(Value([Float(1)]))
        == Value([Float(2), 1]))
    func pad(_ mode: String, _ head: Int64, _ tail: Int64) throws -> Value {
      try SingleOperator("Pad", ["mode": .text(mode)]).first(numbers(1, 2, 3), numbers(head, tail))
    }
    #expect(try pad("edge", 1, 2) == numbers(1, 1, 2, 3, 3, 3))
    #expect(try pad("reflect", 2, 3) == numbers(3, 2, 1, 2, 3, 2, 1, 2))
    #expect(try pad("wrap", 2, 1) == numbers(2, 3, 1, 2, 3, 1))
    #expect(
      SingleOperator("Pad", ["mode": .text("mirror")]).refusal(x, numbers(0, 0, 0, 0))?.contains("'mirror'") == true)
    #expect(SingleOperator("Pad").refusal(x, numbers(-2, 0, -1, 0)) != nil)
  }

  @Test("constants of every form")
  func constants() throws {
    #expect(try SingleOperator("Constant", ["value_int": .integer(7)])()[0] == Value([Int64(7)], []))
    #expect(try SingleOperator("Constant", ["value_floats": .floats([1, 2])])()[0] == Value([Float(1), 2]))
    #expect(try SingleOperator("Constant", ["value_string": .text("ä")])()[0] == Value(texts: ["ä"], []))
    #expect(SingleOperator("Constant").refusal() != nil)
    #expect(try SingleOperator("ConstantOfShape").first(numbers(2, 0)).shape == [2, 0])
    let one = AttributeValue.tensor(ConstantTensor(.int64, Shape(1), [Int64(4)]))
    #expect(try SingleOperator("ConstantOfShape", ["value": one]).first(numbers(2)) == numbers(4, 4))
    #expect(
      try SingleOperator("Range").first(Value([Int64(5)], []), Value([Int64(0)], []), Value([Int64(-2)], []))
        == numbers(5, 3, 1))
    #expect(
      try SingleOperator("Range").first(Value([Float(0)], []), Value([Float(1)], []), Value([Float(0.25)], []))
        == Value([Float(0), 0.25, 0.5, 0.75]))
  }

  @Test("slices are gathered by index, and an index out of range is refused by its value")
  func gathers() throws {
    let x = count(6, [2, 3])
    #expect(
      try SingleOperator("Gather", ["axis": .integer(1)]).first(x, numbers(-1, 0))
        == Value([Int64(2), 0, 5, 3], [2, 2]))
    #expect(try SingleOperator("Gather").first(x, Value([Int32(1)], [])) == numbers(3, 4, 5))
    #expect(
      try SingleOperator("Gather").first(Value(texts: ["a", "b"]), Value([Int64(1), 0], [2, 1]))
        == Value(texts: ["b", "a"], [2, 1]))
    #expect(SingleOperator("Gather").refusal(x, numbers(2)) == "index 2 is not in -2..<2")
    #expect(SingleOperator("Gather").refusal(x, numbers(-3)) == "index -3 is not in -2..<2")
    #expect(SingleOperator("Gather", ["axis": .integer(2)]).refusal(x, numbers(0)) != nil)
    #expect(
      try SingleOperator("GatherElements", ["axis": .integer(1)]).first(x, Value([Int64(2), 0, -1, 1], [2, 2]))
        == Value([Int64(2), 0, 5, 4], [2, 2]))
    #expect(SingleOperator("GatherElements").refusal(x, Value([Int64(2)], [1, 1])) != nil)
    #expect(SingleOperator("GatherElements").refusal(x, Value([Int64(0), 0, 0, 0], [1, 4])) != nil)
    #expect(
      try SingleOperator("GatherND").first(x, Value([Int64(1), 2, 0, -3], [2, 2])) == numbers(5, 0))
    #expect(
      try SingleOperator("GatherND", ["batch_dims": .integer(1)]).first(x, Value([Int64(2), 0], [2, 1]))
        == numbers(2, 3))
    #expect(SingleOperator("GatherND").refusal(x, Value([Int64(1), 3], [1, 2])) != nil)
  }

  @Test("elements are picked by truth values, triangles and positions")
  func picks() throws {
    let x = count(6, [2, 3])
    let condition = Value(.bool, [3], bytes: [1, 0, 1])
    #expect(
      try SingleOperator("Compress", ["axis": .integer(1)]).first(x, condition) == Value([Int64(0), 2, 3, 5], [2, 2]))
    #expect(try SingleOperator("Compress").first(x, condition) == numbers(0, 2))
    #expect(
      try SingleOperator("NonZero").first(Value([Float(0), 1, .nan, -0.0], [2, 2]))
        == Value([Int64(0), 1, 1, 0], [2, 2]))
    #expect(try SingleOperator("Trilu").first(count(4, [2, 2])) == Value([Int64(0), 1, 0, 3], [2, 2]))
    #expect(
      try SingleOperator("Trilu", ["upper": .integer(0)]).first(count(4, [2, 2]), Value([Int64(-1)], []))
        == Value([Int64(0), 0, 2, 0], [2, 2]))
    #expect(
      try SingleOperator("OneHot").first(numbers(1, -1, 5), Value([Int64(2)], []), Value([Float(0), 1]))
        == Value([Float(0), 1, 0, 1, 0, 0], [3, 2]))
  }

  @Test("values out of a view are those of the input, of any type")
  func identity() throws {
    let texts = Value(texts: ["", "b"], [2, 1])
    #expect(try SingleOperator("Identity").first(texts) == texts)
    #expect(try SingleOperator("Identity").first(Value([Float16(1.5)])) == Value([Float16(1.5)]))
  }
}
