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
/// Inlinable, since other modules read every call with it; pointers rather than a buffer with an offset, so that a field
/// costs a comparison with the end and little else.
@frozen
public struct ProtoReader {
  @usableFromInline let start: UnsafeRawPointer
  @usableFromInline let end: UnsafeRawPointer
  /// Between `start` and `end`, both included; at `end` when the bytes are malformed.
  @usableFromInline var next: UnsafeRawPointer
  @usableFromInline var isMalformed = false

  /// - Parameter bytes: a message; they must outlive the reader and what it returns.
  @inlinable @inline(__always)
  public init(_ bytes: UnsafeRawBufferPointer) {
    // Of no bytes none is read, so any address does.
    start = bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 1).unsafelyUnwrapped
    end = start + bytes.count
    next = start
  }

  /// Bytes that have been read; all of them when they are malformed.
  @inlinable public var position: Int { next - start }
  /// Whether the bytes broke a rule of the encoding; then nothing more is read.
  @inlinable public var malformed: Bool { isMalformed }

  /// Goes on from another place, which is between two fields.
  @inlinable @inline(__always)
  public mutating func move(to position: Int) { next = start + position }

  @usableFromInline @inline(never)
  mutating func fail() {
    isMalformed = true
    next = end
  }

  /// Number and type of the next field; nil at the end or when the bytes are malformed.
  @inlinable @inline(__always)
  public mutating func tag() -> (number: UInt32, wire: WireType)? {
    guard next < end else { return nil }
    guard let key = varint(), key >> 3 != 0, key >> 3 <= 0x1fff_ffff, let wire = WireType(key: key) else {
      fail()
      return nil
    }
    return (UInt32(truncatingIfNeeded: key >> 3), wire)
  }

  @inlinable @inline(__always)
  public mutating func varint() -> UInt64? {
    // Most are of one byte: numbers of fields, lengths of names.
    if next < end {
      let byte = next.load(as: UInt8.self)
      if byte < 0x80 {
        next += 1
        return UInt64(byte)
      }
      // Lengths of messages, mostly.
      if end - next >= 2 {
        let second = next.load(fromByteOffset: 1, as: UInt8.self)
        if second < 0x80 {
          next += 2
          return UInt64(byte & 0x7f) | UInt64(second) << 7
        }
      }
    }
    return longVarint()
  }

  @usableFromInline @inline(never)
  mutating func longVarint() -> UInt64? {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while next < end {
      let byte = next.load(as: UInt8.self)
      next += 1
      if shift == 63, byte > 1 { break }
      value |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 { return value }
      shift += 7
      if shift > 63 { break }
    }
    fail()
    return nil
  }

  /// The bytes of a string, bytes, message or packed field.
  @inlinable @inline(__always)
  public mutating func delimited() -> UnsafeRawBufferPointer? {
    guard let count = varint(), count <= UInt64(bitPattern: Int64(end - next)) else {
      fail()
      return nil
    }
    let value = UnsafeRawBufferPointer(start: next, count: Int(truncatingIfNeeded: count))
    next += value.count
    return value
  }

  @inlinable @inline(__always)
  public mutating func fixed32() -> UInt32? {
    guard end - next >= 4 else {
      fail()
      return nil
    }
    next += 4
    return UInt32(littleEndian: (next - 4).loadUnaligned(as: UInt32.self))
  }

  @inlinable @inline(__always)
  public mutating func fixed64() -> UInt64? {
    guard end - next >= 8 else {
      fail()
      return nil
    }
    next += 8
    return UInt64(littleEndian: (next - 8).loadUnaligned(as: UInt64.self))
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
