/// How a field is written.
///
/// Source: protobuf.dev, "Encoding".
@frozen
public enum WireType: UInt8, Sendable {
  case varint = 0
  case fixed64 = 1
  case lengthDelimited = 2
  case fixed32 = 5

  /// The wire type of a field's key; nil for groups, which proto3 does not have, and numbers without a meaning.
  @inlinable @inline(__always)
  init?(key: UInt64) {
    switch key & 7 {
    case 0: self = .varint
    case 1: self = .fixed64
    case 2: self = .lengthDelimited
    case 5: self = .fixed32
    default: return nil
    }
  }
}

/// Reads the fields of a message where they lie; every read is bounded by the bytes there are.
///
/// Inlinable, since other modules read every call with it.
@frozen
public struct ProtoReader {
  @usableFromInline let bytes: UnsafeRawBufferPointer
  @usableFromInline var offset = 0
  @usableFromInline var isMalformed = false

  /// - Parameter bytes: a message; they must outlive the reader and what it returns.
  @inlinable @inline(__always)
  public init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  /// Bytes that have been read.
  @inlinable public var position: Int { offset }
  /// Whether the bytes broke a rule of the encoding; then nothing more is read.
  @inlinable public var malformed: Bool { isMalformed }

  /// Goes on from another place, which is between two fields.
  @inlinable @inline(__always)
  public mutating func move(to position: Int) { offset = position }

  /// Number and type of the next field; nil at the end or when the bytes are malformed.
  @inlinable @inline(__always)
  public mutating func tag() -> (number: UInt32, wire: WireType)? {
    guard offset < bytes.count, !isMalformed else { return nil }
    guard let key = varint(), key >> 3 != 0, key >> 3 <= 0x1fff_ffff, let wire = WireType(key: key) else {
      isMalformed = true
      return nil
    }
    return (UInt32(key >> 3), wire)
  }

  @inlinable @inline(__always)
  public mutating func varint() -> UInt64? {
    // Most are of one byte: numbers of fields, lengths of names.
    if offset < bytes.count, bytes[offset] < 0x80 {
      offset += 1
      return UInt64(bytes[offset - 1])
    }
    return longVarint()
  }

  @usableFromInline
  mutating func longVarint() -> UInt64? {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while offset < bytes.count {
      let byte = bytes[offset]
      offset += 1
      if shift == 63, byte > 1 { break }
      value |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 { return value }
      shift += 7
      if shift > 63 { break }
    }
    isMalformed = true
    return nil
  }

  /// The bytes of a string, bytes, message or packed field.
  @inlinable @inline(__always)
  public mutating func delimited() -> UnsafeRawBufferPointer? {
    guard let count = varint(), count <= UInt64(bytes.count - offset) else {
      isMalformed = true
      return nil
    }
    let start = offset
    offset += Int(count)
    return UnsafeRawBufferPointer(rebasing: bytes[start..<offset])
  }

  @inlinable @inline(__always)
  public mutating func fixed32() -> UInt32? {
    guard bytes.count - offset >= 4 else {
      isMalformed = true
      return nil
    }
    offset += 4
    return UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset - 4, as: UInt32.self))
  }

  @inlinable @inline(__always)
  public mutating func fixed64() -> UInt64? {
    guard bytes.count - offset >= 8 else {
      isMalformed = true
      return nil
    }
    offset += 8
    return UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset - 8, as: UInt64.self))
  }

  /// Passes over a field's value; false when the bytes are malformed.
  @inlinable
  public mutating func skip(_ wire: WireType) -> Bool {
    switch wire {
    case .varint: varint() != nil
    case .fixed64: fixed64() != nil
    case .lengthDelimited: delimited() != nil
    case .fixed32: fixed32() != nil
    }
  }
}
