import MartletEngine

/// Repeated numbers come one by one or packed behind one length; a reader has to take both, even mixed.
///
/// Those that come one by one are read as long as the same field follows.
///
/// Counting comes first, so that arrays have their exact size, and is bounded by the bytes that are there. The second
/// pass must walk the same fields, so a number in another layout is an error wherever it is read.

func countFixed(
  _ reader: inout ProtobufReader, _ field: ProtobufReader.Field, width: Int, _ name: String
) throws(ModelError) -> Int {
  switch field.wire {
  case .fixed32 where width == 4, .fixed64 where width == 8:
    var count = 0
    repeat {
      try reader.skip(field.wire)
      count += 1
    } while reader.takes(field)
    return count
  case .bytes:
    let bytes = try reader.bytes().count
    guard bytes % width == 0 else {
      throw reader.error("\(name) are \(bytes) packed bytes, expected a multiple of \(width)")
    }
    return bytes / width
  default:
    throw reader.error("\(name) (field \(field.number)) have the wire type \(field.wire.rawValue)")
  }
}

/// How many there are, and all bits in which one differs from its sign.
func countVarints(
  _ reader: inout ProtobufReader, _ field: ProtobufReader.Field, _ name: String
) throws(ModelError) -> (count: Int, bits: UInt64) {
  var count = 0
  var bits: UInt64 = 0
  switch field.wire {
  case .varint:
    repeat {
      bits |= PackedIntegers.bits(of: Int64(bitPattern: try reader.varint()))
      count += 1
    } while reader.takes(field)
  case .bytes:
    var packed = try reader.message()
    while !packed.isAtEnd {
      bits |= PackedIntegers.bits(of: Int64(bitPattern: try packed.varint()))
      count += 1
    }
  default:
    throw reader.error("\(name) (field \(field.number)) have the wire type \(field.wire.rawValue)")
  }
  return (count, bits)
}

@inline(__always)
func eachFixed32(
  _ reader: inout ProtobufReader, _ field: ProtobufReader.Field, _ body: (UInt32) -> Void
) throws(ModelError) {
  guard field.wire == .bytes else {
    try reader.expect(field, .fixed32, "a number of a list")
    repeat { body(try reader.fixed32()) } while reader.takes(field)
    return
  }
  var packed = try reader.message()
  while !packed.isAtEnd { body(try packed.fixed32()) }
}

@inline(__always)
func eachFixed64(
  _ reader: inout ProtobufReader, _ field: ProtobufReader.Field, _ body: (UInt64) -> Void
) throws(ModelError) {
  guard field.wire == .bytes else {
    try reader.expect(field, .fixed64, "a number of a list")
    repeat { body(try reader.fixed64()) } while reader.takes(field)
    return
  }
  var packed = try reader.message()
  while !packed.isAtEnd { body(try packed.fixed64()) }
}

@inline(__always)
func eachVarint(
  _ reader: inout ProtobufReader, _ field: ProtobufReader.Field, _ body: (UInt64) -> Void
) throws(ModelError) {
  guard field.wire == .bytes else {
    try reader.expect(field, .varint, "a number of a list")
    repeat { body(try reader.varint()) } while reader.takes(field)
    return
  }
  var packed = try reader.message()
  while !packed.isAtEnd { body(try packed.varint()) }
}
