/// Writes protobuf fields into one growing block of bytes.
///
/// As proto3 says, a scalar that has its default value is left out; entries of repeated fields are always written.
/// Source: protobuf's encoding specification (protobuf.dev, "Encoding").
public struct ProtobufWriter: Sendable {
  public private(set) var bytes: [UInt8]

  public init(reservingBytes capacity: Int = 0) {
    bytes = []
    bytes.reserveCapacity(capacity)
  }

  /// Bytes that a varint takes.
  @inlinable
  public static func varintSize(_ value: UInt64) -> Int {
    (70 - (value | 1).leadingZeroBitCount) / 7
  }

  public mutating func varint(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(truncatingIfNeeded: rest))
  }

  private mutating func tag(_ field: UInt32, _ wireType: UInt32) {
    varint(UInt64(field << 3 | wireType))
  }

  // MARK: Single values

  public mutating func unsigned(_ field: UInt32, _ value: UInt64) {
    guard value != 0 else { return }
    tag(field, 0)
    varint(value)
  }

  public mutating func signed(_ field: UInt32, _ value: Int64) {
    unsigned(field, UInt64(bitPattern: value))
  }

  public mutating func bool(_ field: UInt32, _ value: Bool) {
    unsigned(field, value ? 1 : 0)
  }

  public mutating func string(_ field: UInt32, _ value: String) {
    guard !value.isEmpty else { return }
    text(field, value)
  }

  public mutating func bytes(_ field: UInt32, _ value: [UInt8]) {
    guard !value.isEmpty else { return }
    entry(field, value)
  }

  /// A nested message, written by `body`.
  public mutating func message(_ field: UInt32, _ body: (inout ProtobufWriter) -> Void) {
    tag(field, 2)
    let start = bytes.count
    body(&self)
    // The length stands before what it counts, and is known only now: one move of the body makes room for it.
    var length = UInt64(bytes.count - start)
    let width = ProtobufWriter.varintSize(length)
    bytes.insert(contentsOf: repeatElement(0, count: width), at: start)
    for index in start..<start + width {
      bytes[index] = UInt8(truncatingIfNeeded: length) & 0x7f | (index == start + width - 1 ? 0 : 0x80)
      length >>= 7
    }
  }

  // MARK: Entries of repeated fields

  /// One text entry, written also when empty.
  public mutating func text(_ field: UInt32, _ value: String) {
    tag(field, 2)
    varint(UInt64(value.utf8.count))
    bytes.append(contentsOf: value.utf8)
  }

  /// One bytes entry, written also when empty.
  public mutating func entry(_ field: UInt32, _ value: [UInt8]) {
    tag(field, 2)
    varint(UInt64(value.count))
    bytes.append(contentsOf: value)
  }

  // MARK: Packed fields

  public mutating func packed(_ field: UInt32, _ values: [Double]) {
    fixed(field, values)
  }

  public mutating func packed(_ field: UInt32, _ values: [Float]) {
    fixed(field, values)
  }

  public mutating func packed(_ field: UInt32, _ values: [Int64]) {
    guard !values.isEmpty else { return }
    tag(field, 2)
    varint(UInt64(values.reduce(0) { $0 + ProtobufWriter.varintSize(UInt64(bitPattern: $1)) }))
    for value in values { varint(UInt64(bitPattern: value)) }
  }

  public mutating func packed(_ field: UInt32, _ values: [Bool]) {
    guard !values.isEmpty else { return }
    tag(field, 2)
    varint(UInt64(values.count))
    for value in values { bytes.append(value ? 1 : 0) }
  }

  /// Fixed-width numbers as they lie in memory: protobuf's order is little-endian, as is every system Swift runs on.
  private mutating func fixed<Number: BitwiseCopyable>(_ field: UInt32, _ values: [Number]) {
    guard !values.isEmpty else { return }
    tag(field, 2)
    varint(UInt64(values.count * MemoryLayout<Number>.stride))
    values.withUnsafeBytes { bytes.append(contentsOf: $0) }
  }
}

/// A message that the client sends.
public protocol OutgoingMessage: Sendable {
  func write(into writer: inout ProtobufWriter)
}

extension OutgoingMessage {
  public func encoded() -> [UInt8] {
    var writer = ProtobufWriter()
    write(into: &writer)
    return writer.bytes
  }
}
