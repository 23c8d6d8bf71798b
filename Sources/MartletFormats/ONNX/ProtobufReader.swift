import MartletEngine

/// Reads the fields of one protobuf message in place, one after the other, never past its end.
///
/// Invariant: `position...end` lie within the file's bytes, which the caller of the format keeps alive. Nested messages
/// are readers over part of the same bytes, so reading allocates nothing.
///
/// Source: protobuf.dev, "Encoding".
struct ProtobufReader {
  /// How a field's value is laid out.
  enum Wire: UInt8 {
    case varint = 0
    case fixed64 = 1
    case bytes = 2
    case fixed32 = 5
  }

  struct Field {
    var number: Int
    var wire: Wire
  }

  private let file: UnsafePointer<UInt8>
  private(set) var position: UnsafePointer<UInt8>
  private let end: UnsafePointer<UInt8>

  /// The whole file as one message.
  init(file: UnsafeRawBufferPointer) {
    // An empty buffer may have no address; nothing is read from the one that stands in.
    let start =
      file.baseAddress?.assumingMemoryBound(to: UInt8.self) ?? UnsafePointer(bitPattern: 1).unsafelyUnwrapped
    self.file = start
    position = start
    end = start + file.count
  }

  private init(file: UnsafePointer<UInt8>, _ bytes: UnsafeBufferPointer<UInt8>) {
    self.file = file
    position = bytes.baseAddress.unsafelyUnwrapped
    end = position + bytes.count
  }

  var isAtEnd: Bool { position == end }

  /// Bytes of the message that are not read yet.
  var remaining: Int { end - position }

  /// Where reading is, in bytes from the start of the file.
  var offset: Int { position - file }

  /// The next field's number and layout; its value comes next.
  mutating func field() throws(ModelError) -> Field {
    let start = offset
    let tag = try varint()
    guard let number = Int(exactly: tag >> 3), number > 0, number < 1 << 29 else {
      throw error(at: start, "a field has the number \(tag >> 3), which protobuf does not allow")
    }
    guard let wire = Wire(rawValue: UInt8(tag & 7)) else {
      throw error(at: start, "field \(number) has the wire type \(tag & 7), expected 0, 1, 2 or 5")
    }
    return Field(number: number, wire: wire)
  }

  @inline(__always)
  mutating func varint() throws(ModelError) -> UInt64 {
    // Nearly all numbers of a forest are of one byte or two.
    if remaining >= 2 {
      let first = position[0]
      let second = position[1]
      if first < 0x80 {
        position += 1
        return UInt64(first)
      }
      if second < 0x80 {
        position += 2
        return UInt64(first & 0x7f) | UInt64(second) << 7
      }
    }
    return try longVarint()
  }

  @inline(never)
  private mutating func longVarint() throws(ModelError) -> UInt64 {
    let start = offset
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while position != end {
      let byte = position.pointee
      position += 1
      // The tenth byte holds the one bit that is left.
      if shift == 63, byte > 1 { throw error(at: start, "a number is longer than 64 bits") }
      value |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 { return value }
      shift += 7
    }
    throw error(at: start, "the message ends within a number")
  }

  /// Whether the next field has the number and layout of `field`, in one byte; if so, its value comes next.
  ///
  /// Lists that are not packed have a tag for each element: to read those of a million nodes one by one would take
  /// longer than the nodes.
  @inline(__always)
  mutating func takes(_ field: Field) -> Bool {
    guard field.number < 16, position != end, position.pointee == UInt8(field.number << 3) | field.wire.rawValue else {
      return false
    }
    position += 1
    return true
  }

  @inline(__always)
  mutating func fixed32() throws(ModelError) -> UInt32 {
    UInt32(littleEndian: UnsafeRawPointer(try take(4)).loadUnaligned(as: UInt32.self))
  }

  mutating func fixed64() throws(ModelError) -> UInt64 {
    UInt64(littleEndian: UnsafeRawPointer(try take(8)).loadUnaligned(as: UInt64.self))
  }

  /// A length and as many bytes.
  @inline(__always)
  mutating func bytes() throws(ModelError) -> UnsafeBufferPointer<UInt8> {
    let start = offset
    let length = try varint()
    guard length <= UInt64(remaining) else { throw runsPast(length, at: start) }
    return UnsafeBufferPointer(start: try take(Int(length)), count: Int(length))
  }

  @inline(never)
  private func runsPast(_ length: UInt64, at start: Int) -> ModelError {
    error(
      at: start, "a field of \(length) bytes runs past the end of its message, which has \(remaining) bytes left")
  }

  /// A nested message.
  mutating func message() throws(ModelError) -> ProtobufReader {
    ProtobufReader(file: file, try bytes())
  }

  mutating func skip(_ wire: Wire) throws(ModelError) {
    switch wire {
    case .varint: _ = try varint()
    case .fixed64: _ = try take(8)
    case .fixed32: _ = try take(4)
    case .bytes: _ = try bytes()
    }
  }

  /// Checks that `field` is laid out as `wire`; `name` is what the message calls it.
  func expect(_ field: Field, _ wire: Wire, _ name: String) throws(ModelError) {
    guard field.wire == wire else {
      throw error("\(name) (field \(field.number)) has the wire type \(field.wire.rawValue), expected \(wire.rawValue)")
    }
  }

  /// An error that begins with where it is.
  func error(_ problem: String) -> ModelError { error(at: offset, problem) }

  private func error(at offset: Int, _ problem: String) -> ModelError { ModelError("byte \(offset): \(problem)") }

  @inline(__always)
  private mutating func take(_ count: Int) throws(ModelError) -> UnsafePointer<UInt8> {
    guard count <= remaining else { throw tooShort(by: count - remaining) }
    defer { position += count }
    return position
  }

  @inline(never)
  private func tooShort(by count: Int) -> ModelError { error("the message ends \(count) bytes too early") }
}
