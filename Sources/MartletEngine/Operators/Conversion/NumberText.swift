import MartletCore

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Numbers as text and back, as ONNX Runtime prints and reads them.
///
/// Real numbers of all widths have up to 8 significant digits, as C's `%.8g` prints them; special values are `NaN`,
/// `INF` and `-INF`; truth values are `1` and `0`. A text is read up to the first character that does not belong to a
/// number, like C's `strtod`, `strtoll` and `strtoull` do.
enum NumberText {
  /// Bytes of the longest text that is read as a number; bounds the copy that ends with a NUL.
  private static let longest = 255

  static func print(_ input: Tensor, into texts: UnsafeMutablePointer<TextRef>, _ context: RunContext) {
    withUnsafeTemporaryAllocation(byteCount: 64, alignment: 8) { buffer in
      let bytes = buffer.bindMemory(to: CChar.self)
      for i in 0..<input.count {
        let length: Int
        switch input.type {
        case .float64, .float32, .float16: length = print(input.double(at: i), bytes)
        case .uint64: length = print(input.pointer(as: UInt64.self)[i], negative: false, bytes)
        case .int64:
          let value = input.pointer(as: Int64.self)[i]
          length = print(value.magnitude, negative: value < 0, bytes)
        default:
          // Narrower whole numbers are exact as real ones.
          let value = Int64(input.double(at: i))
          length = print(value.magnitude, negative: value < 0, bytes)
        }
        texts[i] = context.makeText(UnsafeRawBufferPointer(rebasing: buffer[..<length]))
      }
    }
  }

  private static func print(_ value: Double, _ to: UnsafeMutableBufferPointer<CChar>) -> Int {
    if value.isNaN { return put("NaN", to) }
    if value.isInfinite { return put(value < 0 ? "-INF" : "INF", to) }
    // At most 8 digits, a sign, a point and a three-digit exponent: far below the buffer's 64 bytes.
    let start = to.baseAddress.unsafelyUnwrapped
    gcvt(value, 8, start)
    return strlen(start)
  }

  private static func put(_ text: StaticString, _ to: UnsafeMutableBufferPointer<CChar>) -> Int {
    for i in 0..<text.utf8CodeUnitCount { to[i] = CChar(bitPattern: text.utf8Start[i]) }
    return text.utf8CodeUnitCount
  }

  private static func print(_ magnitude: UInt64, negative: Bool, _ to: UnsafeMutableBufferPointer<CChar>) -> Int {
    var digits = 1
    var rest = magnitude / 10
    while rest > 0 {
      digits += 1
      rest /= 10
    }
    let length = digits + (negative ? 1 : 0)
    if negative { to[0] = CChar(UInt8(ascii: "-")) }
    var position = length - 1
    rest = magnitude
    for _ in 0..<digits {
      to[position] = CChar(UInt8(ascii: "0") + UInt8(rest % 10))
      rest /= 10
      position -= 1
    }
    return length
  }

  /// Reads `count` texts into `output`, a tensor of numbers or truth values.
  ///
  /// Errors: INVALID_ARGUMENT for a text that does not begin with a number, or with one out of range; it is read as 0
  /// and the others are read as well.
  static func parse(_ texts: UnsafePointer<TextRef>, count: Int, into output: Tensor) throws(Status) {
    var refused: TextRef?
    switch output.type {
    case .float32: parse(texts, count, output.floats, &refused, real) { Float($0) }
    case .float64: parse(texts, count, output.doubles, &refused, real) { $0 }
    case .float16: parse(texts, count, output.pointer(as: Float16.self), &refused, real) { Float16(Float($0)) }
    case .int64: parse(texts, count, output.pointer(as: Int64.self), &refused, integer) { $0 }
    case .int32:
      parse(texts, count, output.pointer(as: Int32.self), &refused, integer) { Int32(truncatingIfNeeded: $0) }
    case .int16:
      parse(texts, count, output.pointer(as: Int16.self), &refused, integer) { Int16(truncatingIfNeeded: $0) }
    case .int8: parse(texts, count, output.pointer(as: Int8.self), &refused, integer) { Int8(truncatingIfNeeded: $0) }
    case .uint64: parse(texts, count, output.pointer(as: UInt64.self), &refused, unsigned) { $0 }
    case .uint32:
      parse(texts, count, output.pointer(as: UInt32.self), &refused, unsigned) { UInt32(truncatingIfNeeded: $0) }
    case .uint16:
      parse(texts, count, output.pointer(as: UInt16.self), &refused, unsigned) { UInt16(truncatingIfNeeded: $0) }
    case .uint8:
      parse(texts, count, output.pointer(as: UInt8.self), &refused, unsigned) { UInt8(truncatingIfNeeded: $0) }
    case .bool: parse(texts, count, output.bools, &refused, unsigned) { $0 != 0 ? 1 : 0 }
    case .text: break
    }
    guard let refused else { return }
    let shown =
      refused.count <= 40 ? refused.string : "\(TextRef(start: refused.start, count: 40).string)…"
    throw Status(.invalidArgument, "the text '\(shown)' is not a number, or not one in the range of its type")
  }

  @inline(__always)
  private static func parse<Wide: ExpressibleByIntegerLiteral, T>(
    _ texts: UnsafePointer<TextRef>, _ count: Int, _ to: UnsafeMutablePointer<T>, _ refused: inout TextRef?,
    _ read: (TextRef) -> Wide?, _ narrow: (Wide) -> T
  ) {
    for i in 0..<count {
      let value = read(texts[i])
      if value == nil, refused == nil { refused = texts[i] }
      to[i] = narrow(value ?? 0)
    }
  }

  private static func real(_ text: TextRef) -> Double? { read(text) { start, end in strtod(start, &end) } }

  private static func integer(_ text: TextRef) -> Int64? {
    read(text) { start, end in Int64(strtoll(start, &end, 10)) }
  }

  private static func unsigned(_ text: TextRef) -> UInt64? {
    read(text) { start, end in UInt64(strtoull(start, &end, 10)) }
  }

  @inline(__always)
  private static func read<T>(
    _ text: TextRef, _ convert: (UnsafePointer<CChar>, inout UnsafeMutablePointer<CChar>?) -> T
  ) -> T? {
    guard text.count > 0, text.count <= longest else { return nil }
    return withUnsafeTemporaryAllocation(byteCount: longest + 1, alignment: 1) { buffer in
      let bytes = buffer.bindMemory(to: CChar.self)
      let start = bytes.baseAddress.unsafelyUnwrapped
      buffer.copyMemory(from: UnsafeRawBufferPointer(text.bytes))
      bytes[text.count] = 0
      var end: UnsafeMutablePointer<CChar>?
      errno = 0
      let value = convert(start, &end)
      return end == start || errno == ERANGE ? nil : value
    }
  }
}
