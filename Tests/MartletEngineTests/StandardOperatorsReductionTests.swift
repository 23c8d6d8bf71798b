import MartletCore
import Testing

@testable import MartletEngine

@Suite("Reductions of the default domain")
struct StandardOperatorsReductionTests {
  private let x = Value([Float(1), 2, 3, 4, 5, 6], [2, 3])
  private func axes(_ values: Int64...) -> Value { Value(values) }

  @Test("axes are an attribute in older versions and an input in newer ones")
  func axesByVersion() throws {
    #expect(try SingleOperator("ReduceSum").first(x, axes(1)) == Value([Float(6), 15], [2, 1]))
    #expect(try SingleOperator("ReduceSum", opset: 12, ["axes": .integers([0])]).first(x).shape == [1, 3])
    #expect(
      try SingleOperator("ReduceMax", opset: 17, ["axes": .integers([-1])]).first(x) == Value([Float(3), 6], [2, 1]))
    #expect(try SingleOperator("ReduceMax", ["keepdims": .integer(0)]).first(x, axes(0)) == Value([Float(4), 5, 6]))
    #expect(SingleOperator("ReduceSum", opset: 12).refusal(x, axes(1)) != nil)
  }

  @Test("without axes everything is reduced, or nothing when the model says so")
  func withoutAxes() throws {
    #expect(try SingleOperator("ReduceSum").first(x) == Value([Float(21)], [1, 1]))
    #expect(try SingleOperator("ReduceSum", ["keepdims": .integer(0)]).first(x) == Value([Float(21)], []))
    let node = SingleOperator("ReduceSumSquare", ["noop_with_empty_axes": .integer(1)])
    #expect(try node.first(x) == Value([Float(1), 4, 9, 16, 25, 36], [2, 3]))
    #expect(try node.first(x, Value([Int64](), [0])) == Value([Float(1), 4, 9, 16, 25, 36], [2, 3]))
  }

  @Test("several axes at once, in any order")
  func severalAxes() throws {
    let cube = Value((0..<24).map { Float($0) }, [2, 3, 4])
    #expect(
      try SingleOperator("ReduceSum", ["keepdims": .integer(0)]).first(cube, axes(-1, 0))
        == Value([Float(60), 92, 124]))
    #expect(try SingleOperator("ReduceMin").first(cube, axes(1)).array(of: Float.self) == [0, 1, 2, 3, 12, 13, 14, 15])
    #expect(SingleOperator("ReduceSum").refusal(cube, axes(1, -2)) == "axis -2 is named twice")
    #expect(SingleOperator("ReduceSum").refusal(cube, axes(3)) != nil)
  }

  @Test("what no elements make")
  func noElements() throws {
    let empty = Value([Float](), [2, 0])
    func reduced(_ name: String) throws -> [Float] {
      try SingleOperator(name).first(empty, axes(1)).array(of: Float.self)
    }
    #expect(try reduced("ReduceSum") == [0, 0])
    #expect(try reduced("ReduceMean") == [0, 0])
    #expect(try reduced("ReduceProd") == [1, 1])
    #expect(try reduced("ReduceMax") == [-.infinity, -.infinity])
    #expect(try reduced("ReduceMin") == [.infinity, .infinity])
    #expect(try reduced("ReduceLogSumExp") == [-.infinity, -.infinity])
    #expect(try SingleOperator("ReduceSum").first(Value([Float](), [0, 2]), axes(1)).shape == [0, 1])
  }

  @Test("whole numbers stay whole")
  func wholeNumbers() throws {
    let values = Value([Int64(-1), -2, -4])
    #expect(try SingleOperator("ReduceMean").first(values) == Value([Int64(-2)]))
    #expect(try SingleOperator("ReduceL1").first(values) == Value([Int64(7)]))
    #expect(try SingleOperator("ReduceL2").first(values) == Value([Int64(4)]))
    #expect(try SingleOperator("ReduceSum").first(Value([Int64.max, 1])) == Value([Int64.min]))
    #expect(try SingleOperator("ReduceProd").first(Value([Int32(3), -5])) == Value([Int32(-15)]))
  }

  @Test("large logarithms do not overflow, infinite ones stay")
  func logarithms() throws {
    let result = try SingleOperator("ReduceLogSumExp").first(
      Value([1000, 1000, Float.infinity, 0, -.infinity, -.infinity], [3, 2]), axes(1)
    ).array(of: Float.self)
    #expect(abs(result[0] - 1000.6931) < 1e-3 && result[1] == .infinity && result[2] == -.infinity)
  }

  @Test("the first of equal extremes is found, or the last when asked, and NaN only in front")
  func positions() throws {
    let values = Value([Float(1), 3, 3, .nan, 5, 1, 1, .nan, 0], [3, 3])
    let along = ["axis": AttributeValue.integer(1), "keepdims": .integer(0)]
    #expect(try SingleOperator("ArgMax", along).first(values) == Value([Int64(1), 0, 0]))
    #expect(
      try SingleOperator("ArgMax", along.merging(["select_last_index": .integer(1)]) { $1 }).first(values)
        == Value([Int64(2), 0, 0]))
    #expect(try SingleOperator("ArgMin", along).first(values) == Value([Int64(0), 0, 2]))
    #expect(try SingleOperator("ArgMax").first(values).shape == [1, 3])
    #expect(SingleOperator("ArgMax", along).refusal(Value([Float](), [2, 0])) != nil)
    #expect(try SingleOperator("ArgMax", along).first(Value([Float](), [0, 2])).shape == [0])
  }

  @Test("the k greatest come in order, equal ones by position, NaN before all")
  func greatest() throws {
    let values = Value([Float(1), 3, 3, 2, .nan, 0])
    let result = try SingleOperator("TopK", outputs: 2)(values, Value([Int64(4)]))
    #expect(result[1] == Value([Int64(4), 1, 2, 3]))
    #expect(Array(result[0].array(of: Float.self)[1...]) == [3, 3, 2])
    let least = try SingleOperator("TopK", outputs: 2, ["largest": .integer(0)])(values, Value([Int64(6)]))
    #expect(least[1] == Value([Int64(5), 0, 3, 1, 2, 4]))
    let columns = try SingleOperator("TopK", outputs: 2, ["axis": .integer(0)])(x, Value([Int64(1)]))
    #expect(columns == [Value([Float(4), 5, 6], [1, 3]), Value([Int64(1), 1, 1], [1, 3])])
    #expect(
      try SingleOperator("TopK", opset: 9, outputs: 2, ["k": .integer(1)])(x)[0] == Value([Float(3), 6], [2, 1]))
    #expect(try SingleOperator("TopK", outputs: 2)(x, Value([Int64(0)]))[0].shape == [2, 0])
    #expect(SingleOperator("TopK", outputs: 2).refusal(x, Value([Int64(4)])) == "k is 4, axis 1 has 3 elements")
    #expect(SingleOperator("TopK", outputs: 2).refusal(x, Value([Int64(-1)])) != nil)
  }

  @Test("the k best of many are those of sorting all")
  func sorts() throws {
    var random = FixedRandom(state: 5)
    let values = (0..<500).map { _ in Int32.random(in: -40...40, using: &random) }
    let order = values.indices.sorted { (values[$0], $1) > (values[$1], $0) }
    for k in [1, 2, 7, 100, 499, 500] {
      let result = try SingleOperator("TopK", outputs: 2)(Value(values), Value([Int64(k)]))
      #expect(result[1].array(of: Int64.self) == order.prefix(k).map(Int64.init))
      #expect(result[0].array(of: Int32.self) == order.prefix(k).map { values[$0] })
    }
  }

  @Test("running sums, exclusive and from behind")
  func runningSums() throws {
    let axis = Value([Int64(1)], [])
    #expect(try SingleOperator("CumSum").first(x, axis) == Value([Float(1), 3, 6, 4, 9, 15], [2, 3]))
    #expect(
      try SingleOperator("CumSum", ["exclusive": .integer(1), "reverse": .integer(1)]).first(x, axis)
        == Value([Float(5), 3, 0, 11, 6, 0], [2, 3]))
    #expect(try SingleOperator("CumSum").first(x, Value([Int32(-2)], [])).array(of: Float.self) == [1, 2, 3, 5, 7, 9])
    #expect(SingleOperator("CumSum").refusal(x, Value([Int64(2)], [])) != nil)
  }
}
