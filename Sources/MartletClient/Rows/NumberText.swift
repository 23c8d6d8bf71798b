import Glibc

/// Exact readings of numbers in text. Spaces around a number are passed over.
enum NumberText {
  /// A decimal number, rounded once to the nearest double; also `nan`, `inf` and `infinity` in any case.
  static func double(_ text: ArraySlice<UInt8>) -> Double? {
    let trimmed = trim(text)
    guard !trimmed.isEmpty, trimmed.count <= 1024 else { return nil }
    if trimmed.count <= 15, let value = digits(trimmed) { return value }
    guard isDecimal(trimmed) else { return special(trimmed) }
    return withUnsafeTemporaryAllocation(of: CChar.self, capacity: trimmed.count + 1) { buffer in
      for (offset, byte) in trimmed.enumerated() { buffer[offset] = CChar(bitPattern: byte) }
      buffer[trimmed.count] = 0
      return strtod(buffer.baseAddress!, nil)
    }
  }

  /// The value of up to 15 digits, which a double holds exactly: most numbers in tables are that short.
  private static func digits(_ text: ArraySlice<UInt8>) -> Double? {
    var value = 0
    for byte in text {
      guard (0x30...0x39).contains(byte) else { return nil }
      value = value * 10 + Int(byte) - 0x30
    }
    return Double(value)
  }

  /// A whole number of 64 bits; a decimal is one when nothing is lost, `3.0` for example.
  static func integer(_ text: ArraySlice<UInt8>) -> Int64? {
    let trimmed = trim(text)
    var digits = trimmed
    let isNegative = digits.first == UInt8(ascii: "-")
    if isNegative || digits.first == UInt8(ascii: "+") { digits = digits.dropFirst() }
    guard digits.allSatisfy({ (0x30...0x39).contains($0) }) else {
      guard let value = double(trimmed), abs(value) <= 9_007_199_254_740_992 else { return nil }
      return Int64(exactly: value)
    }
    guard !digits.isEmpty else { return nil }
    var value: Int64 = 0
    for digit in digits {
      let (product, overflow) = value.multipliedReportingOverflow(by: 10)
      // Counted downwards, so that the smallest number has its place.
      let (difference, underflow) = product.subtractingReportingOverflow(Int64(digit) - 0x30)
      guard !overflow, !underflow else { return nil }
      value = difference
    }
    if isNegative { return value }
    return value == .min ? nil : -value
  }

  static func boolean(_ text: ArraySlice<UInt8>) -> Bool? {
    let word = trim(text)
    if equals(word, "true") || word.elementsEqual("1".utf8) { return true }
    if equals(word, "false") || word.elementsEqual("0".utf8) { return false }
    return nil
  }

  static func trim(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    var rest = text
    while let first = rest.first, first == 0x20 || first == 0x09 { rest = rest.dropFirst() }
    while let last = rest.last, last == 0x20 || last == 0x09 { rest = rest.dropLast() }
    return rest
  }

  private static func isDecimal(_ text: ArraySlice<UInt8>) -> Bool {
    var rest = text
    if rest.first == UInt8(ascii: "-") || rest.first == UInt8(ascii: "+") { rest = rest.dropFirst() }
    let isDigit = { (byte: UInt8) in (0x30...0x39).contains(byte) }
    let whole = rest.prefix(while: isDigit)
    rest = rest.dropFirst(whole.count)
    var digits = whole.count
    if rest.first == UInt8(ascii: ".") {
      let fraction = rest.dropFirst().prefix(while: isDigit)
      rest = rest.dropFirst(1 + fraction.count)
      digits += fraction.count
    }
    guard digits > 0 else { return false }
    if rest.first == UInt8(ascii: "e") || rest.first == UInt8(ascii: "E") {
      rest = rest.dropFirst()
      if rest.first == UInt8(ascii: "-") || rest.first == UInt8(ascii: "+") { rest = rest.dropFirst() }
      let exponent = rest.prefix(while: isDigit)
      guard !exponent.isEmpty else { return false }
      rest = rest.dropFirst(exponent.count)
    }
    return rest.isEmpty
  }

  private static func special(_ text: ArraySlice<UInt8>) -> Double? {
    var word = text
    let isNegative = word.first == UInt8(ascii: "-")
    if isNegative || word.first == UInt8(ascii: "+") { word = word.dropFirst() }
    if equals(word, "nan") { return .nan }
    if equals(word, "inf") || equals(word, "infinity") { return isNegative ? -.infinity : .infinity }
    return nil
  }

  /// Whether `text` is `word`, which is in small letters, in letters of either size.
  private static func equals(_ text: ArraySlice<UInt8>, _ word: String) -> Bool {
    text.count == word.utf8.count && zip(text, word.utf8).allSatisfy { $0 | 0x20 == $1 }
  }
}
