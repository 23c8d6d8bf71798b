import MartletCore
import Testing

@testable import MartletEngine

@Suite("Matrix products of the default domain")
struct StandardOperatorsLinearTests {
  private func random(_ shape: [Int], _ seed: UInt64) -> Value {
    var random = FixedRandom(state: seed)
    return Value((0..<shape.reduce(1, *)).map { _ in Float.random(in: -1...1, using: &random) }, shape)
  }

  @Test("vectors and batches of matrices multiply as in numpy")
  func shapes() throws {
    let a = Value([Float(1), 2, 3, 4], [2, 2])
    let node = SingleOperator("MatMul")
    #expect(try node.first(a, a) == Value([Float(7), 10, 15, 22], [2, 2]))
    #expect(try node.first(a, Value([Float(1), -1])) == Value([Float(-1), -1]))
    #expect(try node.first(Value([Float(1), -1]), a) == Value([Float(-2), -2]))
    #expect(try node.first(Value([Float(1), 2]), Value([Float(3), 4])) == Value([Float(11)], []))
    let batch = Value([Float(1), 0, 0, 1, 2, 0, 0, 2], [2, 2, 2])
    #expect(try node.first(a, batch) == Value([Float(1), 2, 3, 4, 2, 4, 6, 8], [2, 2, 2]))
    #expect(try node.first(batch, a) == Value([Float(1), 2, 3, 4, 2, 4, 6, 8], [2, 2, 2]))
    #expect(
      try node.first(Value([Int64(1), .max], [1, 2]), Value([Int64(2), 2], [2, 1])) == Value([Int64(0)], [1, 1]))
    #expect(try node.first(Value([Float](), [2, 0]), Value([Float](), [0, 1])) == Value([Float(0), 0], [2, 1]))
    #expect(try node.first(Value([Float](), [0, 2]), a).shape == [0, 2])
    #expect(node.refusal(a, Value([Float(1)])) != nil)
    #expect(node.refusal(a, Value([Float(1)], [])) != nil)
  }

  @Test("a row has the same bits in every batch and for every number of columns", arguments: [1, 3, 7, 8, 16, 21, 40])
  func rowsDoNotMeet(columns: Int) throws {
    let depth = 37
    let weights = random([depth, columns], 1)
    let rows = random([13, depth], 2)
    let all = try SingleOperator("MatMul").first(rows, weights).array(of: Float.self)
    let values = rows.array(of: Float.self)
    let factors = weights.array(of: Float.self)
    for row in 0..<13 {
      let alone = Value(Array(values[row * depth..<(row + 1) * depth]), [1, depth])
      let result = try SingleOperator("MatMul").first(alone, weights).array(of: Float.self)
      #expect(result == Array(all[row * columns..<(row + 1) * columns]))
      for column in 0..<columns {
        // The stated order of summation, element by element.
        var sum: Float = 0
        for k in 0..<depth { sum = sum.addingProduct(values[row * depth + k], factors[k * columns + column]) }
        #expect(result[column] == sum)
      }
    }
  }

  @Test("Gemm transposes, scales and adds, whether its matrix is constant or not", arguments: [Set<Int>(), [1, 2]])
  func gemm(constants: Set<Int>) throws {
    let a = Value([Float(1), 2, 3, 4, 5, 6], [2, 3])
    let b = Value([Float(1), 0, 1, 0, 1, 1], [2, 3])
    let c = Value([Float(10), 20])
    let right = SingleOperator("Gemm", ["transB": .integer(1), "alpha": .float(2), "beta": .float(0.5)])
    #expect(try right.first(a, b, c, constants: constants) == Value([Float(13), 20, 25, 32], [2, 2]))
    let left = SingleOperator("Gemm", ["transA": .integer(1)])
    #expect(try left.first(a, Value([Float(1), 1], [2, 1]), constants: [1]) == Value([Float(5), 7, 9], [3, 1]))
    let both = SingleOperator("Gemm", ["transA": .integer(1), "transB": .integer(1)])
    #expect(
      try both.first(Value([Float(1), 2], [1, 2]), Value([Float(3), 4], [2, 1]), constants: [])
        == Value([Float(3), 4, 6, 8], [2, 2]))
    #expect(right.refusal(a, b, Value([Float(1), 2, 3]), constants: constants) != nil)
    #expect(right.refusal(a, Value([Float(1), 0], [1, 2]), c) != nil)
    #expect(right.refusal(Value([Float(1)]), b, c) != nil)
  }

  @Test("a third matrix that is multiplied by 0 is not looked at")
  func betaZero() throws {
    let one = Value([Float(1)], [1, 1])
    #expect(
      try SingleOperator("Gemm", ["beta": .float(0)]).first(one, one, Value([Float.nan])) == one)
  }

  @Test("sums over named dimensions")
  func einsum() throws {
    let a = Value([1.0, 2, 3, 4], [2, 2])
    #expect(
      try SingleOperator("Einsum", ["equation": .text("ij,jk->ik")]).first(a, a) == Value([7.0, 10, 15, 22], [2, 2]))
    #expect(try SingleOperator("Einsum", ["equation": .text("ij, ij -> j")]).first(a, a) == Value([10.0, 20]))
    #expect(try SingleOperator("Einsum", ["equation": .text("ii")]).first(a) == Value([5.0], []))
    #expect(try SingleOperator("Einsum", ["equation": .text("ba")]).first(a) == Value([1.0, 3, 2, 4], [2, 2]))
    #expect(SingleOperator("Einsum", ["equation": .text("ij->k")]).refusal(a) != nil)
    #expect(SingleOperator("Einsum", ["equation": .text("ij,jk->ik")]).refusal(a) != nil)
    #expect(
      SingleOperator("Einsum", ["equation": .text("ij,jk->ik")]).refusal(a, Value([1.0, 2, 3], [3, 1])) != nil)
  }

  @Test("distances between the rows of two matrices")
  func distances() throws {
    let a = Value([Float(0), 0, 3, 4], [2, 2])
    let b = Value([Float(0), 0, 0, 1, 3, 0], [3, 2])
    let node = { SingleOperator("CDist", domain: "com.microsoft", opset: 1, ["metric": .text($0)]) }
    #expect(try node("sqeuclidean").first(a, b) == Value([Float(0), 1, 9, 25, 18, 16], [2, 3]))
    #expect(try node("euclidean").first(a, b).array(of: Float.self)[3] == 5)
    #expect(try node("euclidean").first(Value([Float](), [0, 2]), b).shape == [0, 3])
    #expect(node("cosine").refusal(a, b)?.contains("cosine") == true)
    #expect(node("euclidean").refusal(a, Value([Float(1)], [1, 1])) != nil)
  }
}
