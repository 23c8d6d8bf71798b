import CKernels
import MartletCore
import Testing

@testable import MartletEngine

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

@Suite("Support vector machines")
struct SupportVectorTests {
  /// Three classes with two, one and no vectors of two features.
  private static let classifier: [String: AttributeValue] = [
    "classlabels_ints": .integers([4, 5, 6]), "vectors_per_class": .integers([2, 1, 0]),
    "support_vectors": .floats([0, 0, 1, 1, 2, 0]), "coefficients": .floats([1, -1, 0.5, 0.25, 2, -2]),
    "rho": .floats([0.5, -0.5, 0]), "kernel_type": .text("RBF"), "kernel_params": .floats([0.5, 0, 0]),
  ]
  private static let regressor: [String: AttributeValue] = [
    "n_supports": .integer(2), "support_vectors": .floats([0, 0, 1, 1]), "coefficients": .floats([1, -2]),
    "rho": .floats([0.5]), "kernel_type": .text("POLY"), "kernel_params": .floats([1, 1, 2]),
  ]

  private func make(
    _ name: String, _ attributes: [String: AttributeValue], changing changes: [String: AttributeValue?] = [:]
  ) -> SingleOperator {
    var attributes = attributes
    for (name, value) in changes { attributes[name] = value }
    return SingleOperator(
      name, domain: "ai.onnx.ml", opset: 1, outputs: name == "SVMClassifier" ? 2 : 1, attributes)
  }

  @Test("a regressor is a weighted sum of its kernel")
  func regresses() throws {
    let svm = make("SVMRegressor", Self.regressor)
    // (0 + 1)^2 - 2 (2 + 3 + 1)^2 + 0.5
    #expect(try svm.first(Value([2, 3] as [Float], [1, 2])) == Value([-70.5] as [Float], [1, 1]))
    let one = make("SVMRegressor", Self.regressor, changing: ["one_class": .integer(1)])
    #expect(try one.first(Value([2, 3, 0, -1] as [Float], [2, 2])) == Value([-1, 1] as [Float], [2, 1]))
  }

  @Test("a classifier scores all pairs of classes, and the first class with the most votes wins")
  func classifies() throws {
    let outputs = try make("SVMClassifier", Self.classifier)(Value([0, 0] as [Float], [1, 2]))
    let near = expf(-1)
    let far = expf(-2)
    // Pairs 0-1, 0-2 and 1-2: the vectors of the one with the coefficients against the other.
    let first = Float(Double(1) + Double(-near) + Double(0.5 * far) + 0.5)
    let second = Float(Double(0.25) + Double(2 * near) - 0.5)
    let third = Float(Double(-2 * far))
    #expect(outputs == [Value([4] as [Int64]), Value([first, second, third], [1, 3])])
  }

  @Test("probabilities of a row sum up to one and follow the scores")
  func couples() throws {
    let probabilities: [String: AttributeValue] = [
      "prob_a": .floats([-1, -2, -1.5]), "prob_b": .floats([0, 0.25, -0.25]),
    ]
    let outputs = try make("SVMClassifier", Self.classifier, changing: probabilities)(
      Value([0, 0] as [Float], [1, 2]))
    let values = outputs[1].array(of: Float.self)
    #expect(values.count == 3 && abs(values.reduce(0, +) - 1) < 1e-6)
    #expect(values[0] > values[2] && values[2] > values[1])
  }

  @Test(
    "what does not fit together is refused, with the attribute",
    arguments: [
      ("coefficients", .floats([1, 2, 3]), "has 3 values"), ("coefficients", nil, "'coefficients' is missing"),
      ("rho", .floats([0, 0]), "has 2 values"), ("support_vectors", .floats([1, 2, 3, 4]), "has 4 values for 3"),
      ("support_vectors", .floats([1]), "the file holds 1 numbers"),
      ("vectors_per_class", .integers([2, 1]), "has 2 values for 3 classes"),
      ("vectors_per_class", .integers([.max, 1, 1]), "has the value \(Int64.max)"),
      ("vectors_per_class", .integers([-1, 2, 2]), "has the value -1"), ("kernel_type", .text("COSINE"), "'COSINE'"),
      ("kernel_params", .floats([1]), "has 1 values, expected 3"), ("classlabels_ints", nil, "has neither"),
      ("prob_a", .floats([1, 2, 3]), "0 of prob_b"), ("post_transform", .text("X"), "is 'X'"),
    ] as [(String, AttributeValue?, String)])
  func refusesClassifier(name: String, value: AttributeValue?, message: String) throws {
    let refusal = make("SVMClassifier", Self.classifier, changing: [name: value])
      .refusal(Value([0, 0] as [Float], [1, 2]))
    #expect(try #require(refusal).contains(message))
  }

  @Test(
    "a regressor that does not fit together is refused",
    arguments: [
      ("coefficients", .floats([1]), "has 1 values for 2"), ("rho", .floats([]), "is empty"),
      ("n_supports", .integer(3), "for 3 support vectors"), ("support_vectors", .floats([1, 2, 3]), "has 3 values"),
      ("support_vectors", nil, "'support_vectors' is missing"),
    ] as [(String, AttributeValue?, String)])
  func refusesRegressor(name: String, value: AttributeValue?, message: String) throws {
    let refusal = make("SVMRegressor", Self.regressor, changing: [name: value])
      .refusal(Value([0, 0] as [Float], [1, 2]))
    #expect(try #require(refusal).contains(message))
  }

  @Test("rows of another width are refused")
  func refusesWidth() {
    let rows = Value([0, 0, 0] as [Float], [1, 3])
    #expect(make("SVMClassifier", Self.classifier).refusal(rows) == "input 0 has 3 features, expected 2")
    #expect(make("SVMRegressor", Self.regressor).refusal(rows) == "input 0 has 3 features, expected 2")
  }

  @Test("exponentials have the bits of the C library's, whatever lane they fall into")
  func exponentials() {
    var values: [Float] = [
      0, -0.0, .nan, .infinity, -.infinity, 88.72, 88.73, -87.33, -87.34, -103.97, -103.98, -104.5,
    ]
    var random = FixedRandom(state: 7)
    for _ in 0..<3000 { values.append(Float.random(in: -110...100, using: &random)) }
    for _ in 0..<1000 { values.append(Float(bitPattern: UInt32.random(in: .min ... .max, using: &random))) }
    for first in 0..<9 {
      var results = Array(values[first...])
      martlet_exp_float(&results, results.count)
      let different = results.indices.filter {
        let expected = expf(values[first + $0])
        return results[$0].bitPattern != expected.bitPattern && !(results[$0].isNaN && expected.isNaN)
      }
      #expect(different.isEmpty, "\(different.prefix(3).map { values[first + $0] })")
    }
  }

  @Test("hyperbolic tangents are within 3e-7, in every lane the same")
  func tangents() {
    let values = (-1300...1300).map { Float($0) / 100 }
    var results = values
    martlet_tanh_float(values, &results, values.count)
    #expect(values.indices.allSatisfy { abs(results[$0] - tanhf(values[$0])) < 3e-7 })
    for (index, value) in values.enumerated() {
      var one: Float = 0
      martlet_tanh_float([value], &one, 1)
      #expect(one == results[index])
    }
    var special: [Float] = [.nan, .infinity, -.infinity]
    martlet_tanh_float(special, &special, 3)
    #expect(special[0].isNaN && special[1] == 1 && special[2] == -1)
  }
}
