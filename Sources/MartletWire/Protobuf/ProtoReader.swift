/// How a field is written.
///
/// Source: protobuf.dev, "Encoding".
public enum WireType: UInt8, Sendable {
  case varint = 0
  case fixed64 = 1
  case lengthDelimited = 2
  case fixed32 = 5
}

/// Reads the fields of a message where they lie; every read is bounded by the bytes there are.
public struct ProtoReader {
  private let bytes: UnsafeRawBufferPointer
  public private(set) var position = 0
  /// Whether the bytes broke a rule of the encoding; then nothing more is read.
  public private(set) var malformed = false

  /// - Parameter bytes: a message; they must outlive the reader and what it returns.
  public init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  /// Number and type of the next field; nil at the end or when the bytes are malformed.
  @inline(__always)
  public mutating func tag() -> (number: UInt32, wire: WireType)? {
    guard position < bytes.count, !malformed else { return nil }
    guard let key = varint(), key >> 3 != 0, key >> 3 <= 0x1fff_ffff, let wire = WireType(rawValue: UInt8(key & 7))
    else {
      malformed = true
      return nil
    }
    return (UInt32(key >> 3), wire)
  }

  @inline(__always)
  public mutating func varint() -> UInt64? {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while position < bytes.count {
      let byte = bytes[position]
      position += 1
      if shift == 63, byte > 1 { break }
      value |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 { return value }
      shift += 7
      if shift > 63 { break }
    }
    malformed = true
    return nil
  }

  /// The bytes of a string, bytes, message or packed field.
  @inline(__always)
  public mutating func delimited() -> UnsafeRawBufferPointer? {
    guard let count = varint(), count <= UInt64(bytes.count - position) else {
      malformed = true
      return nil
    }
    defer { position += Int(count) }
    return UnsafeRawBufferPointer(rebasing: bytes[position..<(position + Int(count))])
  }

  @inline(__always)
  public mutating func fixed32() -> UInt32? {
    guard bytes.count - position >= 4 else {
      malformed = true
      return nil
    }
    defer { position += 4 }
    return UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: UInt32.self))
  }

  @inline(__always)
  public mutating func fixed64() -> UInt64? {
    guard bytes.count - position >= 8 else {
      malformed = true
      return nil
    }
    defer { position += 8 }
    return UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self))
  }

  /// Passes over a field's value; false when the bytes are malformed.
  public mutating func skip(_ wire: WireType) -> Bool {
    switch wire {
    case .varint: varint() != nil
    case .fixed64: fixed64() != nil
    case .lengthDelimited: delimited() != nil
    case .fixed32: fixed32() != nil
    }
  }
}
