/// Builds a message of unknown length, for answers off the hot path.
public struct ProtoBuffer {
  public private(set) var bytes: [UInt8] = []

  public init() {}

  /// A number as it stands in a packed field.
  public mutating func varint(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(truncatingIfNeeded: rest))
  }

  private mutating func tag(_ field: Int, _ wire: WireType) { varint(UInt64(field) << 3 | UInt64(wire.rawValue)) }

  /// An integer, enum or bool; left out when it is 0.
  public mutating func integer(_ field: Int, _ value: Int64) {
    guard value != 0 else { return }
    tag(field, .varint)
    varint(UInt64(bitPattern: value))
  }

  public mutating func bool(_ field: Int, _ value: Bool) { integer(field, value ? 1 : 0) }

  public mutating func double(_ field: Int, _ value: Double) {
    guard value.bitPattern != 0 else { return }
    tag(field, .fixed64)
    withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
  }

  /// A string; left out when it is empty.
  public mutating func string(_ field: Int, _ value: String) {
    if !value.isEmpty { element(field, value) }
  }

  /// An element of a repeated string or bytes field, written even when it is empty.
  public mutating func element(_ field: Int, _ value: String) {
    tag(field, .lengthDelimited)
    varint(UInt64(value.utf8.count))
    bytes.append(contentsOf: value.utf8)
  }

  /// A bytes field, or an element of a repeated one; written even when it is empty.
  public mutating func data(_ field: Int, _ value: some Collection<UInt8>) {
    tag(field, .lengthDelimited)
    varint(UInt64(value.count))
    bytes.append(contentsOf: value)
  }

  /// A message, written even when it is empty.
  public mutating func message(_ field: Int, _ build: (inout ProtoBuffer) -> Void) {
    var inner = ProtoBuffer()
    build(&inner)
    tag(field, .lengthDelimited)
    varint(UInt64(inner.bytes.count))
    bytes.append(contentsOf: inner.bytes)
  }

  /// A packed field of integers; left out when it is empty.
  public mutating func packed(_ field: Int, _ values: some Collection<Int64>) {
    guard !values.isEmpty else { return }
    var inner = ProtoBuffer()
    for value in values { inner.varint(UInt64(bitPattern: value)) }
    tag(field, .lengthDelimited)
    varint(UInt64(inner.bytes.count))
    bytes.append(contentsOf: inner.bytes)
  }
}
