import Glibc

/// Exact readings of numbers in text. Spaces around a number are passed over.
package enum NumberText {
  /// A decimal number, rounded once to the nearest double; also `nan`, `inf` and `infinity` in any case.
  package static func double(_ text: Span<UInt8>) -> Double? {
    let range = trimmed(text)
    guard !range.isEmpty, range.count <= 1024 else { return nil }
    if range.count <= 15, let value = digits(text, range) { return Double(value) }
    guard isDecimal(text, range) else { return special(text, range) }
    return withUnsafeTemporaryAllocation(of: CChar.self, capacity: range.count + 1) { buffer in
      for index in range { buffer[index - range.lowerBound] = CChar(bitPattern: text[index]) }
      buffer[range.count] = 0
      return strtod(buffer.baseAddress!, nil)
    }
  }

  /// A whole number of 64 bits; a decimal is one when nothing is lost, `3.0` for example.
  package static func integer(_ text: Span<UInt8>) -> Int64? {
    let range = trimmed(text)
    var start = range.lowerBound
    let isNegative = start < range.upperBound && text[start] == UInt8(ascii: "-")
    if isNegative || start < range.upperBound && text[start] == UInt8(ascii: "+") { start += 1 }
    guard start < range.upperBound else { return nil }
    var value: Int64 = 0
    for index in start..<range.upperBound {
      guard isDigit(text[index]) else {
        guard let decimal = double(text), abs(decimal) <= 9_007_199_254_740_992 else { return nil }
        return Int64(exactly: decimal)
      }
      let (product, overflow) = value.multipliedReportingOverflow(by: 10)
      // Counted downwards, so that the smallest number has its place.
      let (difference, underflow) = product.subtractingReportingOverflow(Int64(text[index]) - 0x30)
      guard !overflow, !underflow else { return nil }
      value = difference
    }
    if isNegative { return value }
    return value == .min ? nil : -value
  }

  package static func boolean(_ text: Span<UInt8>) -> Bool? {
    let range = trimmed(text)
    if equals(text, range, "true") || range.count == 1 && text[range.lowerBound] == UInt8(ascii: "1") { return true }
    if equals(text, range, "false") || range.count == 1 && text[range.lowerBound] == UInt8(ascii: "0") { return false }
    return nil
  }

  private static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

  /// Where the text is without spaces and tabs around it.
  private static func trimmed(_ text: Span<UInt8>) -> Range<Int> {
    var start = 0
    var end = text.count
    while start < end, text[start] == 0x20 || text[start] == 0x09 { start += 1 }
    while end > start, text[end - 1] == 0x20 || text[end - 1] == 0x09 { end -= 1 }
    return start..<end
  }

  /// The value of up to 15 digits, which a double holds exactly: most numbers in tables are that short.
  private static func digits(_ text: Span<UInt8>, _ range: Range<Int>) -> Int? {
    var value = 0
    for index in range {
      guard isDigit(text[index]) else { return nil }
      value = value * 10 + Int(text[index]) - 0x30
    }
    return value
  }

  private static func isDecimal(_ text: Span<UInt8>, _ range: Range<Int>) -> Bool {
    var index = range.lowerBound
    func skipDigits() -> Int {
      let start = index
      while index < range.upperBound, isDigit(text[index]) { index += 1 }
      return index - start
    }
    func skip(_ first: UInt8, _ second: UInt8) -> Bool {
      guard index < range.upperBound, text[index] == first || text[index] == second else { return false }
      index += 1
      return true
    }
    _ = skip(UInt8(ascii: "-"), UInt8(ascii: "+"))
    var count = skipDigits()
    if skip(UInt8(ascii: "."), UInt8(ascii: ".")) { count += skipDigits() }
    guard count > 0 else { return false }
    if skip(UInt8(ascii: "e"), UInt8(ascii: "E")) {
      _ = skip(UInt8(ascii: "-"), UInt8(ascii: "+"))
      guard skipDigits() > 0 else { return false }
    }
    return index == range.upperBound
  }

  private static func special(_ text: Span<UInt8>, _ range: Range<Int>) -> Double? {
    let first = text[range.lowerBound]
    let isSigned = first == UInt8(ascii: "-") || first == UInt8(ascii: "+")
    let word = range.lowerBound + (isSigned ? 1 : 0)..<range.upperBound
    if equals(text, word, "nan") { return .nan }
    guard equals(text, word, "inf") || equals(text, word, "infinity") else { return nil }
    return first == UInt8(ascii: "-") ? -.infinity : .infinity
  }

  /// Whether a part of `text` is `word`, which is in small letters, in letters of either size.
  private static func equals(_ text: Span<UInt8>, _ range: Range<Int>, _ word: StaticString) -> Bool {
    guard range.count == word.utf8CodeUnitCount else { return false }
    return word.withUTF8Buffer { letters in
      for (offset, letter) in letters.enumerated() where text[range.lowerBound + offset] | 0x20 != letter {
        return false
      }
      return true
    }
  }
}
