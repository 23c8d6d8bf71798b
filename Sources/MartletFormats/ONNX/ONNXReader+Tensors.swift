import MartletCore
import MartletEngine

/// `TensorProto`: its data is read straight into memory of exactly its size.
extension ONNXReader {
  /// The element type of a number of `TensorProto.DataType`; nil for those that the engine does not have.
  static func elementType(_ number: Int64) -> ElementType? {
    switch number {
    case 1: .float32
    case 2: .uint8
    case 3: .int8
    case 4: .uint16
    case 5: .int16
    case 6: .int32
    case 7: .int64
    case 8: .text
    case 9: .bool
    case 10: .float16
    case 11: .float64
    case 12: .uint32
    case 13: .uint64
    default: nil
    }
  }

  /// What a first pass over a tensor finds.
  private struct TensorFields {
    var name = ""
    var dims: [Int64] = []
    var type: Int64 = 0
    var raw: UnsafeBufferPointer<UInt8>?
    /// Values in `float_data`, `int32_data`, `string_data`, `int64_data`, `double_data` and `uint64_data`.
    var floats = 0
    var int32s = 0
    var texts = 0
    var textBytes = 0
    var int64s = 0
    var doubles = 0
    var uint64s = 0
  }

  /// A tensor with its name; half-precision floats become single precision.
  ///
  /// `what` begins the messages: "initializer", or the attribute that holds the tensor.
  func tensor(_ message: ProtobufReader, what: String) throws(ModelError) -> (name: String, tensor: ConstantTensor) {
    let fields = try tensorFields(message, what: what)
    let label = fields.name.isEmpty ? what : "\(what) '\(fields.name)'"
    func error(_ problem: String) -> ModelError { message.error("\(label) \(problem)") }
    guard let type = Self.elementType(fields.type) else {
      throw error("has the element type \(fields.type), which is not supported")
    }
    guard fields.dims.count <= Shape.maximumRank else {
      throw error("has \(fields.dims.count) dimensions, the limit is \(Shape.maximumRank)")
    }
    let shape = Shape(fields.dims.map { Int($0) })
    guard let count = shape.checkedElements else { throw error("has the impossible shape \(shape)") }

    if let raw = fields.raw, !raw.isEmpty || count == 0 {
      guard type != .text else { throw error("is of texts, which cannot be in raw_data") }
      let (bytes, overflow) = count.multipliedReportingOverflow(by: type.byteWidth)
      guard !overflow, raw.count == bytes else {
        throw error("has \(raw.count) bytes of raw_data, expected \(count) elements of \(type.byteWidth) bytes")
      }
      return (fields.name, Self.tensor(type, shape, raw: UnsafeRawBufferPointer(raw)))
    }
    let present =
      switch type {
      case .float32: fields.floats
      case .float64: fields.doubles
      case .int64: fields.int64s
      case .uint32, .uint64: fields.uint64s
      case .text: fields.texts
      case .bool, .int8, .uint8, .int16, .uint16, .int32, .float16: fields.int32s
      }
    guard present == count else { throw error("has \(present) values, expected \(count) for the shape \(shape)") }
    if type == .text {
      guard let texts = try texts(message, count: count, bytes: fields.textBytes) else {
        throw error("holds a text that is not valid UTF-8")
      }
      return (fields.name, texts.finish(shape))
    }
    return (fields.name, try numbers(message, type, shape))
  }

  private func tensorFields(_ message: ProtobufReader, what: String) throws(ModelError) -> TensorFields {
    var reader = message
    var fields = TensorFields()
    while !reader.isAtEnd {
      let field = try reader.field()
      switch field.number {
      case 1:
        try eachVarint(&reader, field) {
          // One more than allowed shows that there are too many.
          if fields.dims.count <= Shape.maximumRank { fields.dims.append(Int64(bitPattern: $0)) }
        }
      case 2:
        try reader.expect(field, .varint, "data_type")
        fields.type = Int64(bitPattern: try reader.varint())
      case 3: throw reader.error("\(what) is stored in segments, which is not supported")
      case 4: fields.floats += try countFixed(&reader, field, width: 4, "float_data")
      case 5: fields.int32s += try countVarints(&reader, field, "int32_data").count
      case 6:
        try reader.expect(field, .bytes, "string_data")
        fields.texts += 1
        fields.textBytes += try reader.bytes().count
      case 7: fields.int64s += try countVarints(&reader, field, "int64_data").count
      case 8: fields.name = try text(&reader, field, "the name of \(what)")
      case 9:
        try reader.expect(field, .bytes, "raw_data")
        fields.raw = try reader.bytes()
      case 10: fields.doubles += try countFixed(&reader, field, width: 8, "double_data")
      case 11: fields.uint64s += try countVarints(&reader, field, "uint64_data").count
      case 13: throw reader.error("\(what) '\(fields.name)' lies in another file, expected all data in the model file")
      case 14:
        try reader.expect(field, .varint, "data_location")
        guard try reader.varint() == 0 else {
          throw reader.error("\(what) '\(fields.name)' lies in another file, expected all data in the model file")
        }
      default: try reader.skip(field.wire)
      }
    }
    return fields
  }

  /// A tensor of `raw_data`, whose size has been checked.
  private static func tensor(_ type: ElementType, _ shape: Shape, raw: UnsafeRawBufferPointer) -> ConstantTensor {
    switch type {
    case .float16:
      return ConstantTensor(.float32, shape) { (target: UnsafeMutableRawBufferPointer) in
        let floats = target.assumingMemoryBound(to: Float.self)
        for i in 0..<floats.count {
          floats[i] = single(half: UInt16(littleEndian: raw.loadUnaligned(fromByteOffset: i * 2, as: UInt16.self)))
        }
      }
    case .bool:
      return ConstantTensor(.bool, shape) { (target: UnsafeMutableRawBufferPointer) in
        for i in 0..<target.count { target[i] = raw[i] == 0 ? 0 : 1 }
      }
    default:
      // The format is little-endian, as every processor that this runs on.
      return ConstantTensor(type, shape) { (target: UnsafeMutableRawBufferPointer) in target.copyMemory(from: raw) }
    }
  }

  /// Second pass over typed data, whose count has been checked.
  private func numbers(
    _ message: ProtobufReader, _ type: ElementType, _ shape: Shape
  ) throws(ModelError) -> ConstantTensor {
    let stored = type == .float16 ? ElementType.float32 : type
    return try ConstantTensor(stored, shape) { (target: UnsafeMutableRawBufferPointer) throws(ModelError) in
      var reader = message
      var next = 0
      func store<T: BitwiseCopyable>(_ value: T) {
        precondition(next + MemoryLayout<T>.stride <= target.count, "the second pass found more than was counted")
        target.storeBytes(of: value, toByteOffset: next, as: T.self)
        next += MemoryLayout<T>.stride
      }
      while !reader.isAtEnd {
        let field = try reader.field()
        switch (field.number, type) {
        case (4, .float32): try eachFixed32(&reader, field) { store($0) }
        case (10, .float64): try eachFixed64(&reader, field) { store($0) }
        case (7, .int64), (11, .uint64): try eachVarint(&reader, field) { store($0) }
        case (11, .uint32), (5, .int32): try eachVarint(&reader, field) { store(UInt32(truncatingIfNeeded: $0)) }
        case (5, .int16), (5, .uint16): try eachVarint(&reader, field) { store(UInt16(truncatingIfNeeded: $0)) }
        case (5, .int8), (5, .uint8): try eachVarint(&reader, field) { store(UInt8(truncatingIfNeeded: $0)) }
        case (5, .bool): try eachVarint(&reader, field) { store($0 == 0 ? 0 : 1 as UInt8) }
        case (5, .float16): try eachVarint(&reader, field) { store(single(half: UInt16(truncatingIfNeeded: $0))) }
        default: try reader.skip(field.wire)
        }
      }
    }
  }

  /// Nil when one is not valid UTF-8.
  private func texts(_ message: ProtobufReader, count: Int, bytes: Int) throws(ModelError) -> TextTensorBuilder? {
    var reader = message
    var builder = TextTensorBuilder(count: count, bytes: bytes)
    while !reader.isAtEnd {
      let field = try reader.field()
      guard field.number == 6 else {
        try reader.skip(field.wire)
        continue
      }
      let text = UnsafeRawBufferPointer(try reader.bytes())
      guard isValidUTF8(text) else { return nil }
      builder.append(text)
    }
    return builder
  }
}

/// The value of a half-precision float, which is exact in single precision.
///
/// By hand, because `Float16` does not exist on every platform that Swift builds for.
func single(half: UInt16) -> Float {
  let sign = UInt32(half & 0x8000) << 16
  let exponent = UInt32(half >> 10) & 0x1f
  let fraction = UInt32(half & 0x3ff)
  switch exponent {
  case 0:
    let magnitude = Float(fraction) * 0x1p-24
    return sign == 0 ? magnitude : -magnitude
  case 0x1f: return Float(bitPattern: sign | 0x7f80_0000 | fraction << 13)
  default: return Float(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
  }
}
