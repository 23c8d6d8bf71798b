/// Reads protobuf fields out of a block of bytes that somebody else owns; copies nothing by itself.
///
/// Every length is checked against what is left, so the memory that decoding takes is bounded by a small multiple of
/// the block's size. Unknown fields are skipped. Nesting is as deep as the code that reads it, never as the bytes say.
/// Source: protobuf's encoding specification (protobuf.dev, "Encoding").
public struct ProtobufReader: ~Escapable {
  private let bytes: RawSpan
  private var position = 0
  private var wireType: UInt8 = 0
  /// Number of the field that `next` moved to.
  public private(set) var field: UInt32 = 0

  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan) { self.bytes = bytes }

  /// Moves to the next field; false when there is none.
  public mutating func next() throws(MessageError) -> Bool {
    guard position < bytes.byteCount else { return false }
    let tag = try varint()
    guard tag >> 3 > 0, tag >> 3 < 1 << 29 else { throw MessageError("field number \(tag >> 3) is out of range") }
    field = UInt32(tag >> 3)
    wireType = UInt8(tag & 7)
    return true
  }

  /// Passes over the field's value, whatever it is.
  public mutating func skip() throws(MessageError) {
    switch wireType {
    case 0: _ = try varint()
    case 1: try advance(8)
    case 2: _ = try range()
    case 5: try advance(4)
    default: throw MessageError("field \(field) has wire type \(wireType), which does not exist")
    }
  }

  // MARK: Single values

  public mutating func unsigned() throws(MessageError) -> UInt64 {
    try expect(0)
    return try varint()
  }

  public mutating func signed() throws(MessageError) -> Int64 {
    Int64(bitPattern: try unsigned())
  }

  /// A 32-bit number; as protobuf says, what does not fit is cut to its lower 32 bits.
  public mutating func int32() throws(MessageError) -> Int32 {
    Int32(truncatingIfNeeded: try unsigned())
  }

  public mutating func uint32() throws(MessageError) -> UInt32 {
    UInt32(truncatingIfNeeded: try unsigned())
  }

  public mutating func bool() throws(MessageError) -> Bool {
    try unsigned() != 0
  }

  public mutating func double() throws(MessageError) -> Double {
    try expect(1)
    return try fixed(as: Double.self)
  }

  /// Text, which must be valid UTF-8.
  public mutating func string() throws(MessageError) -> String {
    try expect(2)
    let range = try range()
    let text = bytes.extracting(range).withUnsafeBytes { String(validating: $0, as: UTF8.self) }
    guard let text else { throw MessageError("field \(field) holds \(range.count) bytes that are not UTF-8") }
    return text
  }

  /// Where the bytes of a field lie in the block.
  public mutating func byteRange() throws(MessageError) -> Range<Int> {
    try expect(2)
    return try range()
  }

  public mutating func byteArray() throws(MessageError) -> [UInt8] {
    try expect(2)
    let range = try range()
    return bytes.extracting(range).withUnsafeBytes { Array($0) }
  }

  /// A nested message, as a reader of its own.
  @_lifetime(copy self)
  public mutating func message() throws(MessageError) -> ProtobufReader {
    try expect(2)
    let range = try range()
    return ProtobufReader(bytes.extracting(range))
  }

  // MARK: Repeated numbers, packed or one by one

  public mutating func append(to values: inout [Float]) throws(MessageError) {
    try appendFixed(to: &values, single: 5)
  }

  public mutating func append(to values: inout [Double]) throws(MessageError) {
    try appendFixed(to: &values, single: 1)
  }

  public mutating func append(to values: inout [Int64]) throws(MessageError) {
    guard wireType == 2 else {
      values.append(try signed())
      return
    }
    let range = try range()
    position = range.lowerBound
    while position < range.upperBound { values.append(Int64(bitPattern: try varint())) }
    guard position == range.upperBound else { throw MessageError("field \(field): a packed number crosses its end") }
  }

  public mutating func append(to values: inout [Bool]) throws(MessageError) {
    var numbers: [Int64] = []
    try append(to: &numbers)
    for number in numbers { values.append(number != 0) }
  }

  private mutating func appendFixed<Number: BitwiseCopyable>(
    to values: inout [Number], single: UInt8
  ) throws(MessageError) {
    guard wireType == 2 else {
      try expect(single)
      values.append(try fixed(as: Number.self))
      return
    }
    let range = try range()
    let width = MemoryLayout<Number>.stride
    guard range.count % width == 0 else {
      throw MessageError("field \(field): \(range.count) packed bytes are no multiple of \(width)")
    }
    values.reserveCapacity(values.count + range.count / width)
    var at = range.lowerBound
    while at < range.upperBound {
      values.append(bytes.unsafeLoadUnaligned(fromByteOffset: at, as: Number.self))
      at += width
    }
  }

  // MARK: Bytes

  private func expect(_ expected: UInt8) throws(MessageError) {
    guard wireType == expected else {
      throw MessageError("field \(field) has wire type \(wireType), expected \(expected)")
    }
  }

  private mutating func advance(_ count: Int) throws(MessageError) {
    guard bytes.byteCount - position >= count else { throw MessageError("field \(field) is cut off") }
    position += count
  }

  private mutating func fixed<Number: BitwiseCopyable>(as type: Number.Type) throws(MessageError) -> Number {
    let start = position
    try advance(MemoryLayout<Number>.stride)
    return bytes.unsafeLoadUnaligned(fromByteOffset: start, as: type)
  }

  private mutating func range() throws(MessageError) -> Range<Int> {
    let length = try varint()
    guard length <= UInt64(bytes.byteCount - position) else {
      throw MessageError("field \(field) says \(length) bytes, \(bytes.byteCount - position) are left")
    }
    let start = position
    position += Int(length)
    return start..<position
  }

  private mutating func varint() throws(MessageError) -> UInt64 {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while position < bytes.byteCount {
      let byte = bytes.unsafeLoad(fromByteOffset: position, as: UInt8.self)
      position += 1
      guard shift < 63 || byte <= 1 else { throw MessageError("a number takes more than 64 bits") }
      value |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 { return value }
      shift += 7
    }
    throw MessageError("a number is cut off")
  }
}

/// A message that the client receives.
public protocol IncomingMessage: Sendable {
  /// Reads the whole block; fails when it is malformed or contradicts itself.
  init(reading reader: inout ProtobufReader) throws(MessageError)
}

extension IncomingMessage {
  public init(decoding bytes: [UInt8]) throws(MessageError) {
    var reader = ProtobufReader(bytes.span.bytes)
    try self.init(reading: &reader)
  }
}
