import Glibc
import MartletEngine

/// JSON as text, also with `NaN`, `Infinity` and `-Infinity`, which writers of models use.
///
/// Source: RFC 8259.
struct JSONReader: DocumentReader {
  /// An object or array that is open.
  private struct Frame {
    var isObject: Bool
    /// Whether anything has been read in it, so that a comma comes next.
    var isStarted = false
  }

  /// The most characters of a number.
  private static let numberLength = 127

  private let start: UnsafePointer<UInt8>
  private let count: Int
  private(set) var offset = 0
  private var frames: [Frame] = []

  init(_ bytes: UnsafeRawBufferPointer) {
    // An empty buffer may have no address; nothing is read from the one that stands in.
    start =
      bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) ?? UnsafePointer(bitPattern: 1).unsafelyUnwrapped
    count = bytes.count
    frames.reserveCapacity(documentDepth)
  }

  // MARK: Characters

  /// The next character that is no space, unread.
  @inline(__always)
  private mutating func peek() throws(DocumentError) -> UInt8 {
    while offset < count {
      let byte = start[offset]
      guard byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 else { return byte }
      offset += 1
    }
    throw error("the file ends, expected more")
  }

  private mutating func expect(_ character: Unicode.Scalar) throws(DocumentError) {
    let came = try peek()
    guard came == UInt8(ascii: character) else {
      throw error("\(Self.shown(came)) came, expected '\(character)'")
    }
    offset += 1
  }

  private static func shown(_ byte: UInt8) -> String {
    byte > 0x20 && byte < 0x7f ? "'\(Unicode.Scalar(byte))'" : "byte \(byte)"
  }

  private func startsWith(_ word: StaticString) -> Bool {
    let length = word.utf8CodeUnitCount
    return count - offset >= length && memcmp(start + offset, word.utf8Start, length) == 0
  }

  private mutating func pass(_ word: StaticString) throws(DocumentError) {
    guard startsWith(word) else { throw error("a word came, expected \(word)") }
    offset += word.utf8CodeUnitCount
  }

  // MARK: Values

  mutating func kind() throws(DocumentError) -> DocumentKind {
    let next = try peek()
    switch next {
    case UInt8(ascii: "{"): return .object
    case UInt8(ascii: "["): return .array
    case UInt8(ascii: "\""): return .text
    case UInt8(ascii: "t"), UInt8(ascii: "f"): return .truth
    case UInt8(ascii: "n"): return .null
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "N"), UInt8(ascii: "I"):
      return .number
    default: throw error("\(Self.shown(next)) begins no value of JSON")
    }
  }

  private mutating func check(_ kind: DocumentKind) throws(DocumentError) {
    let came = try self.kind()
    guard came == kind else { throw error("is \(came.rawValue), expected \(kind.rawValue)") }
  }

  private mutating func begin(isObject: Bool) throws(DocumentError) {
    try check(isObject ? .object : .array)
    guard frames.count < documentDepth else {
      throw error("the document is nested deeper than \(documentDepth) levels, which is the limit")
    }
    offset += 1
    frames.append(Frame(isObject: isObject))
  }

  /// Whether the open object or array goes on; reads the comma, or the end.
  @inline(__always)
  private mutating func goesOn(until end: Unicode.Scalar) throws(DocumentError) -> Bool {
    let next = try peek()
    if next == UInt8(ascii: end) {
      offset += 1
      frames.removeLast()
      return false
    }
    let top = frames.count - 1
    if frames[top].isStarted {
      guard next == UInt8(ascii: ",") else { throw error("\(Self.shown(next)) came, expected ',' or '\(end)'") }
      offset += 1
    }
    frames[top].isStarted = true
    return true
  }

  mutating func beginObject() throws(DocumentError) { try begin(isObject: true) }

  mutating func nextKey() throws(DocumentError) -> String? {
    guard try goesOn(until: "}") else { return nil }
    try check(.text)
    let key = try text(limit: 1024)
    try expect(":")
    return key
  }

  mutating func beginArray() throws(DocumentError) { try begin(isObject: false) }

  mutating func nextElement() throws(DocumentError) -> Bool { try goesOn(until: "]") }

  mutating func integer() throws(DocumentError) -> Int64 {
    if try kind() == .truth {
      let isTrue = start[offset] == UInt8(ascii: "t")
      if isTrue { try pass("true") } else { try pass("false") }
      return isTrue ? 1 : 0
    }
    try check(.number)
    let begin = offset
    let isNegative = start[offset] == UInt8(ascii: "-")
    if isNegative { offset += 1 }
    var value: Int64 = 0
    var digits = 0
    while offset < count, start[offset] >= UInt8(ascii: "0"), start[offset] <= UInt8(ascii: "9") {
      let digit = Int64(start[offset] - UInt8(ascii: "0"))
      let (ten, overflow) = value.multipliedReportingOverflow(by: 10)
      let (next, overflowToo) = ten.addingReportingOverflow(digit)
      guard !overflow, !overflowToo else { throw error("a whole number has more than 64 bits") }
      value = next
      digits += 1
      offset += 1
    }
    guard digits > 0, offset == count || !Self.isOfNumber(start[offset]) else {
      offset = begin
      throw error("a number is not whole, expected one that is")
    }
    return isNegative ? -value : value
  }

  /// Whether a number may hold `byte` behind its first digits.
  private static func isOfNumber(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."),
      UInt8(ascii: "e"), UInt8(ascii: "E"):
      true
    default: false
    }
  }

  mutating func float() throws(DocumentError) -> Float {
    try check(.number)
    let isNegative = start[offset] == UInt8(ascii: "-")
    if startsWith("NaN") {
      offset += 3
      return .nan
    }
    if startsWith("Infinity") || startsWith("-Infinity") {
      offset += isNegative ? 9 : 8
      return isNegative ? -.infinity : .infinity
    }
    var end = offset
    while end < count, Self.isOfNumber(start[end]) { end += 1 }
    let length = end - offset
    guard length > 0, length <= Self.numberLength else {
      throw error("a number has \(length) characters, expected 1 to \(Self.numberLength)")
    }
    // The C library wants an end; the file may have none behind its last number.
    let value: Float? = withUnsafeTemporaryAllocation(of: CChar.self, capacity: Self.numberLength + 1) { buffer in
      for index in 0..<length { buffer[index] = CChar(bitPattern: start[offset + index]) }
      buffer[length] = 0
      var stop: UnsafeMutablePointer<CChar>?
      let value = strtof(buffer.baseAddress!, &stop)
      return stop == buffer.baseAddress! + length ? value : nil
    }
    guard let value else { throw error("a number is not one of JSON") }
    offset = end
    return value
  }

  @discardableResult
  mutating func skip() throws(DocumentError) -> Int {
    switch try kind() {
    case .object:
      try beginObject()
      while try nextKey() != nil { try skip() }
    case .array:
      try beginArray()
      var elements = 0
      while try nextElement() {
        try skip()
        elements += 1
      }
      return elements
    case .text: try skipText()
    case .number:
      let begin = offset
      while offset < count, Self.isOfNumber(start[offset]) { offset += 1 }
      if startsWith("NaN") { offset += 3 } else if startsWith("Infinity") { offset += 8 }
      guard offset > begin else { throw error("a word came, expected a number") }
    case .truth: _ = try integer()
    case .null: try pass("null")
    }
    return 1
  }

  mutating func finish() throws(DocumentError) {
    while offset < count {
      let byte = start[offset]
      guard byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 || byte == 0 else {
        throw error("\(Self.shown(byte)) comes behind the end of the document")
      }
      offset += 1
    }
  }

  // MARK: Texts

  /// Reads over a text; returns where its content lies and whether it has escapes.
  @discardableResult
  private mutating func skipText() throws(DocumentError) -> (content: Range<Int>, hasEscapes: Bool) {
    try check(.text)
    offset += 1
    let first = offset
    var hasEscapes = false
    while offset < count {
      switch start[offset] {
      case UInt8(ascii: "\""):
        offset += 1
        return (first..<(offset - 1), hasEscapes)
      case UInt8(ascii: "\\"):
        hasEscapes = true
        offset += 2
      case 0..<0x20: throw error("a text holds the control character \(start[offset])")
      default: offset += 1
      }
    }
    offset = count
    throw error("the file ends inside a text")
  }

  mutating func text(limit: Int) throws(DocumentError) -> String {
    let (content, hasEscapes) = try skipText()
    guard content.count <= limit else { throw error("a text has \(content.count) bytes, the limit is \(limit)") }
    let bytes = UnsafeRawBufferPointer(start: start + content.lowerBound, count: content.count)
    guard isValidUTF8(bytes) else { throw error("a text is not in UTF-8") }
    guard hasEscapes else { return String(decoding: bytes, as: UTF8.self) }
    guard let text = Self.unescaped(bytes) else { throw error("a text has an escape that is not one of JSON") }
    return text
  }

  /// The text with its escapes replaced; nil for one that JSON does not have, or for NUL.
  private static func unescaped(_ bytes: UnsafeRawBufferPointer) -> String? {
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count)
    var high: UInt32?
    var index = 0
    func code(_ first: Int) -> UInt32? {
      guard bytes.count - first >= 4 else { return nil }
      var value: UInt32 = 0
      for offset in first..<(first + 4) {
        guard let digit = Character(Unicode.Scalar(bytes[offset])).hexDigitValue else { return nil }
        value = value << 4 | UInt32(digit)
      }
      return value
    }
    while index < bytes.count {
      guard bytes[index] == UInt8(ascii: "\\") else {
        if high != nil { return nil }
        result.append(bytes[index])
        index += 1
        continue
      }
      guard index + 1 < bytes.count else { return nil }
      let escape = bytes[index + 1]
      index += 2
      if escape == UInt8(ascii: "u") {
        guard let unit = code(index) else { return nil }
        index += 4
        // Characters beyond 16 bits come as a pair of surrogates.
        if let first = high {
          guard (0xdc00..<0xe000).contains(unit),
            let scalar = Unicode.Scalar(0x10000 + ((first - 0xd800) << 10) + (unit - 0xdc00))
          else { return nil }
          result.append(contentsOf: String(scalar).utf8)
          high = nil
        } else if (0xd800..<0xdc00).contains(unit) {
          high = unit
        } else {
          guard unit != 0, let scalar = Unicode.Scalar(unit) else { return nil }
          result.append(contentsOf: String(scalar).utf8)
        }
        continue
      }
      guard high == nil else { return nil }
      switch escape {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): result.append(escape)
      case UInt8(ascii: "b"): result.append(0x08)
      case UInt8(ascii: "f"): result.append(0x0c)
      case UInt8(ascii: "n"): result.append(0x0a)
      case UInt8(ascii: "r"): result.append(0x0d)
      case UInt8(ascii: "t"): result.append(0x09)
      default: return nil
      }
    }
    return high == nil ? String(decoding: result, as: UTF8.self) : nil
  }

  mutating func integers(into values: inout [Int32]) throws(DocumentError) { try elementwise(into: &values) }
  mutating func floats(into values: inout [Float]) throws(DocumentError) { try elementwise(into: &values) }
  mutating func flags(into values: inout [UInt8]) throws(DocumentError) { try elementwise(into: &values) }
}
