import Testing

@testable import MartletClient

@Suite struct NumberTextTests {
  private func bytes(_ text: String) -> ArraySlice<UInt8> { Array(text.utf8)[...] }

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
    #expect(NumberText.double(bytes(text))?.bitPattern == expected?.bitPattern)
  }

  @Test("words for what is not finite are numbers, other words are not")
  func words() {
    #expect(NumberText.double(bytes("NaN"))?.isNaN == true)
    #expect(NumberText.double(bytes("-Inf")) == -.infinity)
    #expect(NumberText.double(bytes("+infinity")) == .infinity)
    for text in ["", " ", "0x10", "1_000", "1,5", "1e", "e5", ".", "-", "12a", "nan(1)", "--1", "1 2", "NA"] {
      #expect(NumberText.double(bytes(text)) == nil, "\(text)")
    }
  }

  @Test("whole numbers are exact to 64 bits, and decimals are whole only when nothing is lost")
  func integers() {
    #expect(NumberText.integer(bytes("9223372036854775807")) == .max)
    #expect(NumberText.integer(bytes("-9223372036854775808")) == .min)
    #expect(NumberText.integer(bytes("9223372036854775808")) == nil)
    #expect(NumberText.integer(bytes("-9223372036854775809")) == nil)
    #expect(NumberText.integer(bytes("+5")) == 5)
    #expect(NumberText.integer(bytes("3.0")) == 3)
    #expect(NumberText.integer(bytes("1e3")) == 1000)
    #expect(NumberText.integer(bytes("3.5")) == nil)
    #expect(NumberText.integer(bytes("1e30")) == nil)
    for text in ["", "-", "x", "1x"] { #expect(NumberText.integer(bytes(text)) == nil, "\(text)") }
  }

  @Test("true, false, 1 and 0 are booleans")
  func booleans() {
    #expect(NumberText.boolean(bytes("True")) == true)
    #expect(NumberText.boolean(bytes("0")) == false)
    #expect(NumberText.boolean(bytes("yes")) == nil)
  }
}
