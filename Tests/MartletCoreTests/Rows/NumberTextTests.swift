import Testing

@testable import MartletCore

@Suite struct NumberTextTests {
  private func double(_ text: String) -> Double? {
    let bytes = Array(text.utf8)
    return NumberText.double(bytes.span)
  }

  private func integer(_ text: String) -> Int64? {
    let bytes = Array(text.utf8)
    return NumberText.integer(bytes.span)
  }

  private func boolean(_ text: String) -> Bool? {
    let bytes = Array(text.utf8)
    return NumberText.boolean(bytes.span)
  }

  @Test(
    "decimals are rounded once to the nearest double",
    arguments: [
      "0", "-0", "1", "123456789012345", "0.1", "1e-320", "1.7976931348623157e308", "9007199254740993", "-2.5E+3", ".5",
      "5.",
      "3.141592653589793238462643383279", " 42 ", "\t7",
    ])
  func doubles(text: String) {
    let trimmed = text.filter { $0 != " " && $0 != "\t" }
    let expected = Double(trimmed.hasSuffix(".") ? trimmed + "0" : trimmed)
    #expect(double(text)?.bitPattern == expected?.bitPattern)
  }

  @Test("words for what is not finite are numbers, other words are not")
  func words() {
    #expect(double("NaN")?.isNaN == true)
    #expect(double("-Inf") == -.infinity)
    #expect(double("+infinity") == .infinity)
    for text in ["", " ", "0x10", "1_000", "1,5", "1e", "e5", ".", "-", "12a", "nan(1)", "--1", "1 2", "NA"] {
      #expect(double(text) == nil, "\(text)")
    }
  }

  @Test("whole numbers are exact to 64 bits, and decimals are whole only when nothing is lost")
  func integers() {
    #expect(integer("9223372036854775807") == .max)
    #expect(integer("-9223372036854775808") == .min)
    #expect(integer("9223372036854775808") == nil)
    #expect(integer("-9223372036854775809") == nil)
    #expect(integer("+5") == 5)
    #expect(integer("3.0") == 3)
    #expect(integer("1e3") == 1000)
    #expect(integer("3.5") == nil)
    #expect(integer("1e30") == nil)
    for text in ["", "-", "x", "1x"] { #expect(integer(text) == nil, "\(text)") }
  }

  @Test("true, false, 1 and 0 are booleans")
  func booleans() {
    #expect(boolean("True") == true)
    #expect(boolean("0") == false)
    #expect(boolean("yes") == nil)
  }
}
