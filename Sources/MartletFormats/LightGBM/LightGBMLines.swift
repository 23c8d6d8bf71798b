import MartletEngine

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The lines of a file in place, without their ends.
struct LightGBMLines {
  /// A line, or a part of one.
  typealias Line = UnsafeRawBufferPointer

  private let bytes: UnsafeRawBufferPointer
  private var position = 0
  /// Number of the line that `next` gave last, from 1.
  private(set) var number = 0

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  mutating func next() -> Line? {
    guard position < bytes.count, let start = bytes.baseAddress else { return nil }
    let rest = bytes.count - position
    let length = memchr(start + position, 0x0a, rest).map { UnsafeRawPointer($0) - (start + position) } ?? rest
    var line = Line(rebasing: bytes[position..<(position + length)])
    position = min(bytes.count, position + length + 1)
    number += 1
    if line.last == 0x0d { line = Line(rebasing: line.dropLast()) }
    return line
  }
}

extension UnsafeRawBufferPointer {
  /// The parts before and behind the first `=`; nil when there is none.
  func splitAtEquals() -> (key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)? {
    guard let start = baseAddress, let found = memchr(start, 0x3d, count) else { return nil }
    let length = UnsafeRawPointer(found) - start
    return (Self(rebasing: self[..<length]), Self(rebasing: self[(length + 1)...]))
  }

  func isText(_ text: StaticString) -> Bool { count == text.utf8CodeUnitCount && starts(withText: text) }

  func starts(withText text: StaticString) -> Bool {
    guard count >= text.utf8CodeUnitCount, let start = baseAddress else { return text.utf8CodeUnitCount == 0 }
    return memcmp(start, text.utf8Start, text.utf8CodeUnitCount) == 0
  }

  /// At most 40 bytes of it, as messages show it.
  var excerpt: String {
    let shown = String(decoding: prefix(40), as: UTF8.self)
    return count > 40 ? "'\(shown)…'" : "'\(shown)'"
  }
}

/// The values of a line, separated by spaces, taken one by one.
struct LightGBMValues {
  private let bytes: UnsafeRawBufferPointer
  private var position = 0
  /// Values taken.
  private(set) var taken = 0

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  mutating func next() -> UnsafeRawBufferPointer? {
    while position < bytes.count, bytes[position] == 0x20 { position += 1 }
    guard position < bytes.count else { return nil }
    let start = position
    while position < bytes.count, bytes[position] != 0x20 { position += 1 }
    taken += 1
    return UnsafeRawBufferPointer(rebasing: bytes[start..<position])
  }
}

/// Numbers as the library reads them.
enum LightGBMNumber {
  /// A whole number of 32 bits with a sign; nil for anything else.
  static func integer(_ text: UnsafeRawBufferPointer) -> Int32? {
    let isNegative = text.first == 0x2d
    let digits = isNegative ? UnsafeRawBufferPointer(rebasing: text.dropFirst()) : text
    guard !digits.isEmpty, digits.count <= 10 else { return nil }
    var value: Int64 = 0
    for byte in digits {
      guard byte >= 0x30, byte <= 0x39 else { return nil }
      value = value * 10 + Int64(byte - 0x30)
    }
    return Int32(exactly: isNegative ? -value : value)
  }

  /// A whole number of 32 bits without a sign; nil for anything else.
  static func word(_ text: UnsafeRawBufferPointer) -> UInt32? {
    guard !text.isEmpty, text.count <= 10 else { return nil }
    var value: UInt64 = 0
    for byte in text {
      guard byte >= 0x30, byte <= 0x39 else { return nil }
      value = value * 10 + UInt64(byte - 0x30)
    }
    return UInt32(exactly: value)
  }

  /// The double nearest to a decimal number of at most 63 characters; nil for anything else and when none is near.
  static func double(_ text: UnsafeRawBufferPointer) -> Double? {
    guard !text.isEmpty, text.count < 64 else { return nil }
    for byte in text {
      switch byte {
      case 0x30...0x39, 0x2b, 0x2d, 0x2e, 0x45, 0x65: continue
      default: return nil
      }
    }
    return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
      for index in 0..<text.count { buffer[index] = CChar(bitPattern: text[index]) }
      buffer[text.count] = 0
      guard let start = buffer.baseAddress else { return nil }
      var end: UnsafeMutablePointer<CChar>? = nil
      let value = strtod(start, &end)
      return end == start + text.count && value.isFinite ? value : nil
    }
  }

  /// A parameter of an objective: digit by digit with a rounding at each step, as the library's reader for short
  /// numbers does, which is not always the nearest double.
  static func parameter(_ text: UnsafeRawBufferPointer) -> Double? {
    guard !text.isEmpty, text.count < 64 else { return nil }
    var rest = text[...]
    let isNegative = rest.first == 0x2d
    if isNegative || rest.first == 0x2b { rest = rest.dropFirst() }
    func digit() -> Double? {
      guard let byte = rest.first, byte >= 0x30, byte <= 0x39 else { return nil }
      rest = rest.dropFirst()
      return Double(byte - 0x30)
    }
    guard let first = rest.first, first == 0x2e || (0x30...0x39).contains(first) else { return nil }
    var value = 0.0
    while let next = digit() { value = value * 10 + next }
    if rest.first == 0x2e {
      rest = rest.dropFirst()
      var fraction = 0.0
      var scale = 1.0
      while let next = digit() {
        fraction = next + fraction * 10
        scale *= 10
      }
      value += fraction / scale
    }
    var scale = 1.0
    var divides = false
    if rest.first == 0x65 || rest.first == 0x45 {
      rest = rest.dropFirst()
      divides = rest.first == 0x2d
      if divides || rest.first == 0x2b { rest = rest.dropFirst() }
      var exponent = 0
      while let next = digit() { exponent = min(308, exponent * 10 + Int(next)) }
      for (power, factor) in [(50, 1e50), (8, 1e8), (1, 10.0)] {
        while exponent >= power {
          scale *= factor
          exponent -= power
        }
      }
    }
    guard rest.isEmpty else { return nil }
    value = divides ? value / scale : value * scale
    return value.isFinite ? (isNegative ? -value : value) : nil
  }
}
