import MartletCore
import Testing

@testable import MartletEngine

@Suite("Trees of a booster's own file")
struct NativeTreeEnsembleTests {
  private typealias Node = NativeEnsemble.Node

  private func leaf(_ value: Double, number: UInt32) -> NativeEnsemble.Node {
    Node(test: .leaf, feature: 0, missingGoesTrue: false, value: value, whenTrue: number, whenFalse: 0)
  }

  private func branch(
    _ test: NativeEnsemble.Test, _ value: Double, _ whenTrue: UInt32, _ whenFalse: UInt32, feature: Int32 = 0,
    missingGoesTrue: Bool = false
  ) -> NativeEnsemble.Node {
    Node(
      test: test, feature: feature, missingGoesTrue: missingGoesTrue, value: value, whenTrue: whenTrue,
      whenFalse: whenFalse)
  }

  /// One tree of one node that leads to 1 when `test` holds, and to 2 when it does not.
  private func stump(_ branch: NativeEnsemble.Node, _ categories: [[Int64]] = []) -> NativeEnsemble {
    var ensemble = NativeEnsemble(precision: .single, outputs: 1, startsAt: [0])
    ensemble.nodes = [branch, leaf(1, number: 7), leaf(2, number: 5)]
    ensemble.roots = [0]
    ensemble.outputOfTree = [0]
    ensemble.categories = categories
    return ensemble
  }

  private func score(_ ensemble: NativeEnsemble, _ rows: Value, outputs: Int = 1) throws -> [Value] {
    let single = SingleOperator(
      "TreeEnsemble", domain: "ai.martlet", opset: 1, outputs: outputs, ["ensemble": .ensemble(ensemble)])
    return try single(rows)
  }

  private func scores(_ ensemble: NativeEnsemble, _ column: [Float]) throws -> [Float] {
    try score(ensemble, Value(column, [column.count, 1]))[0].array(of: Float.self)
  }

  @Test("comparisons send a value to its side, and a missing one where the node says")
  func comparisons() throws {
    let column: [Float] = [Float(0.5).nextDown, 0.5, Float(0.5).nextUp, .nan, .infinity, -.infinity]
    for missingGoesTrue in [false, true] {
      let missing: Float = missingGoesTrue ? 1 : 2
      let less = stump(branch(.less, 0.5, 1, 2, missingGoesTrue: missingGoesTrue))
      #expect(try scores(less, column) == [1, 2, 2, missing, 2, 1])
      let lessOrEqual = stump(branch(.lessOrEqual, 0.5, 1, 2, missingGoesTrue: missingGoesTrue))
      #expect(try scores(lessOrEqual, column) == [1, 1, 2, missing, 2, 1])
    }
  }

  @Test("a category is the whole part of a value; what is negative, missing or too large is in no set")
  func categories() throws {
    let column: [Float] = [0, 0.9, 2, 2.5, 3, 100, -0.0, -0.5, -1, .infinity, -.infinity, 1e30]
    var ensemble = stump(branch(.category, 0, 1, 2), [[100, 2, 0]])
    #expect(try scores(ensemble, column) == [1, 1, 1, 1, 2, 1, 1, 2, 2, 2, 2, 2])
    ensemble.categoryZeroFromBelow = true
    #expect(try scores(ensemble, column) == [1, 1, 1, 1, 2, 1, 1, 1, 2, 2, 2, 2])
    for missingGoesTrue in [false, true] {
      let ensemble = stump(branch(.category, 0, 1, 2, missingGoesTrue: missingGoesTrue), [[0]])
      #expect(try scores(ensemble, [.nan]) == [missingGoesTrue ? 1 : 2])
    }
    #expect(try scores(stump(branch(.category, 0, 1, 2), [[]]), [0, .nan]) == [2, 2])
  }

  @Test("sums begin at the start values and take the trees in order, in the ensemble's precision")
  func sums() throws {
    var ensemble = NativeEnsemble(precision: .single, outputs: 2, startsAt: [0x1p24, 0])
    ensemble.nodes = [leaf(1, number: 0), leaf(1, number: 0), leaf(1, number: 0), leaf(0x1p24, number: 0)]
    ensemble.roots = [1, 0, 2, 3]
    ensemble.outputOfTree = [0, 0, 1, 1]
    let single = try score(ensemble, Value([Float(0)], [1, 1]))
    // 2^24 swallows each 1 that comes after it.
    #expect(single == [Value([Float(0x1p24), 0x1p24], [1, 2])])
    ensemble.precision = .double
    let double = try score(ensemble, Value([Float(0)], [1, 1]))
    #expect(double == [Value([0x1p24 + 2, 0x1p24 + 1], [1, 2])])
    ensemble.roots = []
    ensemble.outputOfTree = []
    ensemble.nodes = []
    #expect(try score(ensemble, Value([0.0, 0.0], [2, 1])) == [Value([0x1p24, 0, 0x1p24, 0], [2, 2])])
  }

  @Test("leaves are numbered as the file does, for more rows than are walked at once")
  func numbers() throws {
    var ensemble = stump(branch(.less, 200, 1, 2))
    ensemble.nodes += [branch(.less, 100, 5, 4), leaf(3, number: 9), leaf(4, number: 8)]
    ensemble.roots.append(3)
    ensemble.outputOfTree.append(0)
    let column = (0..<300).map { Float($0) }
    let outputs = try score(ensemble, Value(column, [300, 1]), outputs: 2)
    #expect(outputs[1].array(of: Int64.self) == (0..<300).flatMap { [$0 < 200 ? 7 : 5, $0 < 100 ? 8 : 9] })
    #expect(outputs[0].array(of: Float.self) == (0..<300).map { ($0 < 200 ? 1 : 2) + ($0 < 100 ? 4 : 3) })
  }

  @Test("a leaf may add a vector to all outputs, and keeps its number")
  func vectors() throws {
    var ensemble = NativeEnsemble(precision: .single, outputs: 2, startsAt: [1, 2])
    ensemble.nodes = [branch(.less, 0, 1, 2), leaf(1, number: 7), leaf(0, number: 5), leaf(2, number: 3)]
    ensemble.roots = [0, 3]
    ensemble.outputOfTree = [0, 0]
    ensemble.leafVectors = [10, 20, 100, 200, 0.5, 0.25]
    let outputs = try score(ensemble, Value([Float(-1), 1], [2, 1]), outputs: 2)
    #expect(
      outputs == [Value([Float(101.5), 202.25, 11.5, 22.25], [2, 2]), Value([Int64(7), 3, 5, 3], [2, 2])])
    for (value, message) in [
      (3.0, "the vector 3.0 at leaf 3"), (-1, "the vector -1.0"), (0.5, "the vector 0.5"), (1, "another for each leaf"),
    ] {
      ensemble.nodes[3].value = value
      let single = SingleOperator("TreeEnsemble", domain: "ai.martlet", opset: 1, ["ensemble": .ensemble(ensemble)])
      #expect(single.refusal(Value([Float(0)], [1, 1]))?.contains(message) == true)
    }
    ensemble.leafVectors.removeLast()
    let single = SingleOperator("TreeEnsemble", domain: "ai.martlet", opset: 1, ["ensemble": .ensemble(ensemble)])
    #expect(
      single.refusal(Value([Float(0)], [1, 1]))?.contains("5 numbers in vectors, expected a multiple of 2") == true)
  }

  @Test("doubles are compared as doubles, and rounded first in single precision")
  func precisions() throws {
    var ensemble = stump(branch(.lessOrEqual, 0.1, 1, 2))
    let rows = Value([0.1, Double(0.1).nextUp], [2, 1])
    #expect(try score(ensemble, rows)[0].array(of: Float.self) == [1, 1])
    ensemble.precision = .double
    #expect(try score(ensemble, rows)[0].array(of: Double.self) == [1, 2])
  }

  @Test("an ensemble whose parts do not fit together is refused")
  func refusals() {
    func message(_ change: (inout NativeEnsemble) -> Void) -> String {
      var ensemble = stump(branch(.less, 0, 1, 2))
      change(&ensemble)
      let single = SingleOperator(
        "TreeEnsemble", domain: "ai.martlet", opset: 1, ["ensemble": .ensemble(ensemble)])
      return single.refusal(Value([Float(0)], [1, 1])) ?? "accepted"
    }
    #expect(message { _ in } == "accepted")
    #expect(message { $0.outputs = 0 }.contains("0 outputs, expected 1 to"))
    #expect(message { $0.startsAt = [] }.contains("0 start values, expected 1"))
    #expect(message { $0.outputOfTree = [] }.contains("outputs for 0 trees, expected 1"))
    #expect(message { $0.outputOfTree = [1] }.contains("target 1, expected 0 to 0"))
    #expect(message { $0.outputOfTree = [-1] }.contains("target -1"))
    #expect(message { $0.roots = [3] }.contains("begins with node 3, expected 0 to 2"))
    #expect(message { $0.nodes[0].whenTrue = 3 }.contains("node 3 as a child of node 0"))
    #expect(message { $0.nodes[0].whenFalse = .max }.contains("as a child of node 0"))
    #expect(message { $0.nodes[0].whenFalse = 0 }.contains("reaches node 0 twice"))
    #expect(message { $0.nodes[0].whenFalse = 1 }.contains("reaches node 1 twice"))
    #expect(message { $0.nodes.append(leaf(0, number: 0)) }.contains("node 3 is in no tree"))
    #expect(message { $0.nodes[0].feature = -1 }.contains("feature -1 at node 0"))
    #expect(message { $0.nodes[0].feature = 1 }.contains("reads feature 1, but the input has 1 features"))
    #expect(message { $0.nodes[0].feature = .max }.contains("feature 2147483647"))
    for value in [0, -1, 0.5, .nan, .infinity] {
      #expect(message { $0.nodes[0] = branch(.category, value, 1, 2) }.contains("set of categories"))
    }
    #expect(
      SingleOperator("TreeEnsemble", domain: "ai.martlet", opset: 1).refusal(Value([Float(0)], [1, 1]))?
        .contains("attribute 'ensemble' is missing") == true)
  }
}
