/// How many bytes a field takes, so that a reply's length is known before it is written.
public enum ProtoSize {
  @inlinable
  public static func varint(_ value: UInt64) -> Int {
    // One byte for each 7 bits begun.
    (70 - (value | 1).leadingZeroBitCount) / 7
  }

  @inlinable
  public static func tag(_ field: Int) -> Int { varint(UInt64(field) << 3) }

  /// A string, bytes, message or packed field of `count` bytes; 0 when it is empty and so left out.
  @inlinable
  public static func delimited(_ field: Int, _ count: Int) -> Int {
    count == 0 ? 0 : always(field, count)
  }

  /// The same, written even when it is empty: an element of a repeated field, a oneof's message.
  @inlinable
  public static func always(_ field: Int, _ count: Int) -> Int { tag(field) + varint(UInt64(count)) + count }

  @inlinable
  public static func varintField(_ field: Int, _ value: UInt64) -> Int { value == 0 ? 0 : tag(field) + varint(value) }

  /// Bytes of the values of a packed field of integers.
  @inlinable
  public static func packed(_ values: UnsafeBufferPointer<Int64>) -> Int {
    var bytes = 0
    for value in values { bytes += varint(UInt64(bitPattern: value)) }
    return bytes
  }
}

/// Writes the fields of a message into memory that is known to suffice: its size was counted with `ProtoSize`.
///
/// The caller guarantees that `start` has room for everything written; debug builds check it.
@frozen
public struct ProtoWriter {
  public var position: UnsafeMutableRawPointer
  @usableFromInline let end: UnsafeMutableRawPointer

  @inlinable
  public init(_ start: UnsafeMutableRawPointer, bytes: Int) {
    position = start
    end = start + bytes
  }

  /// Whether exactly the bytes that were counted have been written.
  @inlinable
  public var isFull: Bool { position == end }

  @inlinable
  public mutating func varint(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      byte(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    byte(UInt8(truncatingIfNeeded: rest))
  }

  @inlinable
  public mutating func byte(_ value: UInt8) {
    assert(position < end)
    position.storeBytes(of: value, as: UInt8.self)
    position += 1
  }

  @inlinable
  public mutating func raw(_ bytes: UnsafeRawBufferPointer) {
    guard let source = bytes.baseAddress, bytes.count > 0 else { return }
    assert(position + bytes.count <= end)
    position.copyMemory(from: source, byteCount: bytes.count)
    position += bytes.count
  }

  @inlinable
  public mutating func tag(_ field: Int, _ wire: WireType) { varint(UInt64(field) << 3 | UInt64(wire.rawValue)) }

  /// A varint field; left out when it is 0.
  @inlinable
  public mutating func varintField(_ field: Int, _ value: UInt64) {
    guard value != 0 else { return }
    tag(field, .varint)
    varint(value)
  }

  /// A string, bytes or packed field; left out when it is empty.
  @inlinable
  public mutating func delimited(_ field: Int, _ bytes: UnsafeRawBufferPointer) {
    guard bytes.count > 0 else { return }
    always(field, bytes)
  }

  /// The same, written even when it is empty.
  @inlinable
  public mutating func always(_ field: Int, _ bytes: UnsafeRawBufferPointer) {
    head(field, bytes.count)
    raw(bytes)
  }

  /// The start of a field of `count` bytes, which the caller writes next.
  @inlinable
  public mutating func head(_ field: Int, _ count: Int) {
    tag(field, .lengthDelimited)
    varint(UInt64(count))
  }

  @inlinable
  public mutating func double(_ field: Int, _ value: Double) {
    guard value.bitPattern != 0 else { return }
    tag(field, .fixed64)
    assert(position + 8 <= end)
    position.storeBytes(of: value.bitPattern.littleEndian, as: UInt64.self)
    position += 8
  }

  /// A string; left out when it is empty.
  public mutating func string(_ field: Int, _ text: String) {
    var text = text
    text.withUTF8 { delimited(field, UnsafeRawBufferPointer($0)) }
  }
}
