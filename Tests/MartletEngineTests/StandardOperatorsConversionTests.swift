import MartletCore
import Testing

@testable import MartletEngine

@Suite("Cast")
struct StandardOperatorsConversionTests {
  private func cast(_ value: Value, to code: Int64) throws -> Value {
    try SingleOperator("Cast", ["to": .integer(code)]).first(value)
  }

  @Test("real numbers become whole ones towards zero, and the least number where none fits")
  func truncates() throws {
    let x = Value([Float(2.7), -2.7, .nan, .infinity, -.infinity, 3e9])
    #expect(try cast(x, to: 6) == Value([Int32(2), -2, .min, .min, .min, .min]))
    #expect(try cast(x, to: 7) == Value([Int64(2), -2, .min, .min, .min, 3_000_000_000]))
    #expect(try cast(x, to: 2) == Value([UInt8(2), 254, 0, 0, 0, 0]))
    #expect(try cast(Value([Float(300.5), -300.5]), to: 3) == Value([Int8(44), -44]))
    #expect(try cast(x, to: 12) == Value([UInt32(2), 4_294_967_294, 0, 0, 0, 3_000_000_000]))
    #expect(try cast(x, to: 9) == Value(.bool, [6], bytes: [1, 1, 1, 1, 1, 1]))
    #expect(try cast(Value([0, -0.0, 0.1]), to: 9) == Value(.bool, [3], bytes: [0, 0, 1]))
  }

  @Test("whole numbers keep their low bits, and are rounded once to real ones")
  func wholeNumbers() throws {
    #expect(try cast(Value([Int64(1) << 32 + 5, -1]), to: 6) == Value([Int32(5), -1]))
    #expect(try cast(Value([Int64(-1), 300]), to: 2) == Value([UInt8(255), 44]))
    #expect(try cast(Value([Int64(16_777_217)]), to: 1) == Value([Float(16_777_216)]))
    #expect(try cast(Value([UInt64.max]), to: 11) == Value([18_446_744_073_709_551_616.0]))
    #expect(try cast(Value(.bool, [2], bytes: [0, 1]), to: 1) == Value([Float(0), 1]))
    #expect(try cast(Value([Float(1.5)]), to: 10) == Value([Float16(1.5)]))
    #expect(try cast(Value([Float16(1.5)]), to: 11) == Value([1.5]))
  }

  @Test("more elements than one block")
  func blocks() throws {
    let values = (0..<1000).map { Int32($0) - 500 }
    #expect(try cast(Value(values, [10, 100]), to: 11) == Value(values.map(Double.init), [10, 100]))
    #expect(try cast(Value(values.map(Double.init)), to: 6) == Value(values))
  }

  @Test("numbers are printed with eight digits, and special ones by name")
  func prints() throws {
    #expect(
      try cast(Value([Float(0.1), -0.0, 1e10, 123_456_792, .nan, .infinity, -.infinity, 3]), to: 8)
        == Value(texts: ["0.1", "-0", "1e+10", "1.2345679e+08", "NaN", "INF", "-INF", "3"]))
    #expect(try cast(Value([1.0 / 3]), to: 8) == Value(texts: ["0.33333333"]))
    #expect(
      try cast(Value([Int64.min, 0, 42]), to: 8) == Value(texts: ["-9223372036854775808", "0", "42"]))
    #expect(try cast(Value([UInt64.max]), to: 8) == Value(texts: ["18446744073709551615"]))
    #expect(try cast(Value(.bool, [2], bytes: [1, 0]), to: 8) == Value(texts: ["1", "0"]))
    #expect(try cast(Value([Int8(-128)]), to: 8) == Value(texts: ["-128"]))
  }

  @Test("texts are read up to what is no number any more")
  func reads() throws {
    let words = Value(texts: [" 1.5", "2x", "-INF", "1e3", "+5"])
    #expect(try cast(words, to: 1) == Value([Float(1.5), 2, -.infinity, 1000, 5]))
    #expect(try cast(Value(texts: ["1.5", "-7", "1e3"]), to: 7) == Value([Int64(1), -7, 1]))
    #expect(try cast(Value(texts: ["-7", "300"]), to: 2) == Value([UInt8(249), 44]))
    #expect(try cast(Value(texts: ["nan"]), to: 11).array(of: Double.self)[0].isNaN)
    #expect(try cast(Value(texts: ["2", "0"]), to: 9) == Value(.bool, [2], bytes: [1, 0]))
  }

  @Test(
    "a text that is no number is refused with the text",
    arguments: ["", "abc", "true", "1e400", String(repeating: "1", count: 300)])
  func refusesTexts(text: String) {
    let message = SingleOperator("Cast", ["to": .integer(11)]).refusal(Value(texts: ["1", text]))
    #expect(message?.contains("'\(text.prefix(40))") == true)
  }

  @Test("a type that the engine does not have is refused when the operator is made")
  func refusesTypes() {
    let message = SingleOperator("Cast", ["to": .integer(16)]).refusal(Value([Float(1)]))
    #expect(message == "Cast node 'node': attribute 'to' is 16, a type of elements that is not supported")
    #expect(SingleOperator("Cast").refusal(Value([Float(1)]))?.contains("'to' is missing") == true)
  }

  @Test("CastLike takes the type of its second input")
  func castLike() throws {
    #expect(try SingleOperator("CastLike").first(Value([1.5]), Value(texts: ["a"])) == Value(texts: ["1.5"]))
  }
}
