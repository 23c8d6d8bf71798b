import MartletEngine

/// Repeated numbers come one by one or packed behind one length; a reader has to take both, even mixed.
///
/// Counting comes first, so that arrays have their exact size, and is bounded by the bytes that are there. The second
/// pass must walk the same fields, so a number in another layout is an error wherever it is read.

func countFixed(
  _ reader: inout ProtobufReader, _ field: ProtobufReader.Field, width: Int, _ name: String
) throws(ModelError) -> Int {
  switch field.wire {
  case .fixed32 where width == 4, .fixed64 where width == 8:
    try reader.skip(field.wire)
    return 1
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

func countVarints(
  _ reader: inout ProtobufReader, _ field: ProtobufReader.Field, _ name: String
) throws(ModelError) -> Int {
  switch field.wire {
  case .varint:
    _ = try reader.varint()
    return 1
  case .bytes:
    var packed = try reader.message()
    var count = 0
    while !packed.isAtEnd {
      _ = try packed.varint()
      count += 1
    }
    return count
  default:
    throw reader.error("\(name) (field \(field.number)) have the wire type \(field.wire.rawValue)")
  }
}

func eachFixed32(
  _ reader: inout ProtobufReader, _ field: ProtobufReader.Field, _ body: (UInt32) -> Void
) throws(ModelError) {
  guard field.wire == .bytes else {
    try reader.expect(field, .fixed32, "a number of a list")
    return body(try reader.fixed32())
  }
  var packed = try reader.message()
  while !packed.isAtEnd { body(try packed.fixed32()) }
}

func eachFixed64(
  _ reader: inout ProtobufReader, _ field: ProtobufReader.Field, _ body: (UInt64) -> Void
) throws(ModelError) {
  guard field.wire == .bytes else {
    try reader.expect(field, .fixed64, "a number of a list")
    return body(try reader.fixed64())
  }
  var packed = try reader.message()
  while !packed.isAtEnd { body(try packed.fixed64()) }
}

func eachVarint(
  _ reader: inout ProtobufReader, _ field: ProtobufReader.Field, _ body: (UInt64) -> Void
) throws(ModelError) {
  guard field.wire == .bytes else {
    try reader.expect(field, .varint, "a number of a list")
    return body(try reader.varint())
  }
  var packed = try reader.message()
  while !packed.isAtEnd { body(try packed.varint()) }
}
