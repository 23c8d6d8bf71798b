/// A protobuf message as a tree that can be bent: fields of any number, any wire type, with lengths that lie.
struct WireMessage {
  var fields: [WireField] = []

  mutating func varint(_ number: UInt32, _ value: UInt64) { fields.append(WireField(number, .varint(value))) }

  mutating func bytes(_ number: UInt32, _ value: [UInt8]) { fields.append(WireField(number, .bytes(value))) }

  mutating func string(_ number: UInt32, _ value: String) { bytes(number, Array(value.utf8)) }

  mutating func message(_ number: UInt32, _ value: WireMessage) { fields.append(WireField(number, .message(value))) }

  func encode(into target: inout [UInt8]) {
    for field in fields { field.encode(into: &target) }
  }

  var encoded: [UInt8] {
    var target: [UInt8] = []
    encode(into: &target)
    return target
  }

  static func appendVarint(_ value: UInt64, to target: inout [UInt8]) {
    var rest = value
    while rest >= 0x80 {
      target.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    target.append(UInt8(truncatingIfNeeded: rest))
  }
}

struct WireField {
  indirect enum Value {
    case varint(UInt64)
    case fixed64(UInt64)
    case fixed32(UInt32)
    case bytes([UInt8])
    case message(WireMessage)
    /// A varint of ten or more bytes, most of them saying nothing.
    case longVarint(UInt64, bytes: Int)
  }

  var number: UInt32
  var value: Value
  /// Added to the length that is written, which then is not the one of the bytes.
  var lengthError: Int64 = 0
  /// Written instead of the value's own wire type.
  var wireType: UInt8?

  init(_ number: UInt32, _ value: Value) {
    self.number = number
    self.value = value
  }

  func encode(into target: inout [UInt8]) {
    let own: UInt8 =
      switch value {
      case .varint, .longVarint: 0
      case .fixed64: 1
      case .bytes, .message: 2
      case .fixed32: 5
      }
    WireMessage.appendVarint(UInt64(number) << 3 | UInt64(wireType ?? own), to: &target)
    switch value {
    case .varint(let number): WireMessage.appendVarint(number, to: &target)
    case .longVarint(let number, let count):
      var rest = number
      for _ in 1..<max(2, count) {
        target.append(UInt8(truncatingIfNeeded: rest) | 0x80)
        rest >>= 7
      }
      target.append(UInt8(truncatingIfNeeded: rest & 0x7f))
    case .fixed64(let number): withUnsafeBytes(of: number.littleEndian) { target.append(contentsOf: $0) }
    case .fixed32(let number): withUnsafeBytes(of: number.littleEndian) { target.append(contentsOf: $0) }
    case .bytes(let bytes):
      appendLength(bytes.count, to: &target)
      target.append(contentsOf: bytes)
    case .message(let message):
      let inner = message.encoded
      appendLength(inner.count, to: &target)
      target.append(contentsOf: inner)
    }
  }

  private func appendLength(_ count: Int, to target: inout [UInt8]) {
    WireMessage.appendVarint(UInt64(bitPattern: Int64(count) &+ lengthError), to: &target)
  }
}
