import CProtobufC
import CProtos
import MartletCore
import MartletEngine

/// The small leaf messages, unpacked by protobuf-c.
///
/// None of them can contain itself, and each is bounded in size before it is unpacked, because protobuf-c bounds
/// neither depth nor the memory that many empty messages take.
extension ONNXReader {
  /// The most bytes of a leaf message; unpacking takes up to some 50 times as much.
  private static let maximumLeafBytes = 64 << 10

  private func leaf(_ reader: inout ProtobufReader, _ what: String) throws(ModelError) -> UnsafeBufferPointer<UInt8> {
    let bytes = try reader.bytes()
    guard bytes.count <= Self.maximumLeafBytes else {
      throw reader.error("\(what) has \(bytes.count) bytes, the limit is \(Self.maximumLeafBytes)")
    }
    return bytes
  }

  private func bytes(_ data: ProtobufCBinaryData) -> UnsafeBufferPointer<UInt8> {
    UnsafeBufferPointer(start: data.data, count: data.len)
  }

  /// `OperatorSetIdProto`: domain (empty for the default one) and version.
  func operatorSet(_ reader: inout ProtobufReader) throws(ModelError) -> (domain: String, version: Int) {
    let message = try leaf(&reader, "opset_import")
    guard let unpacked = onnx__operator_set_id_proto__unpack(nil, message.count, message.baseAddress) else {
      throw reader.error("opset_import is not a valid OperatorSetIdProto")
    }
    defer { onnx__operator_set_id_proto__free_unpacked(unpacked, nil) }
    let domain = try text(bytes(unpacked.pointee.domain), reader, "the domain of opset_import")
    guard unpacked.pointee.has_version != 0, let version = Int32(exactly: unpacked.pointee.version) else {
      throw reader.error("opset_import of domain '\(domain)' has no version, or one out of range")
    }
    return (Self.canonical(domain: domain), Int(version))
  }

  /// "ai.onnx" is another name of the default domain.
  static func canonical(domain: String) -> String { domain == "ai.onnx" ? "" : domain }

  /// `StringStringEntryProto`.
  func entry(_ reader: inout ProtobufReader) throws(ModelError) -> (key: String, value: String) {
    // Not `leaf`: a value may be a long document, and is copied once.
    let message = try reader.bytes()
    guard let unpacked = onnx__string_string_entry_proto__unpack(nil, message.count, message.baseAddress) else {
      throw reader.error("an entry of metadata_props is not a valid StringStringEntryProto")
    }
    defer { onnx__string_string_entry_proto__free_unpacked(unpacked, nil) }
    let key = try text(bytes(unpacked.pointee.key), reader, "a key of metadata_props")
    return (key, String(decoding: bytes(unpacked.pointee.value), as: UTF8.self))
  }

  /// `ValueInfoProto`: a value without type and shape where the file gives another type than a tensor.
  func valueInfo(_ reader: inout ProtobufReader, what: String) throws(ModelError) -> Graph.Value {
    let message = try leaf(&reader, "an \(what) of the graph")
    guard let unpacked = onnx__value_info_proto__unpack(nil, message.count, message.baseAddress) else {
      throw reader.error("an \(what) of the graph is not a valid ValueInfoProto")
    }
    defer { onnx__value_info_proto__free_unpacked(unpacked, nil) }
    let name = try text(bytes(unpacked.pointee.name), reader, "the name of an \(what)")
    guard !name.isEmpty else { throw reader.error("an \(what) of the graph has no name") }
    guard let type = unpacked.pointee.type, type.pointee.value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE,
      let tensor = type.pointee.tensor_type
    else { return Graph.Value(name: name, type: nil, shape: nil) }
    let element = ONNXReader.elementType(Int64(tensor.pointee.elem_type))
    guard let shape = tensor.pointee.shape else { return Graph.Value(name: name, type: element, shape: nil) }
    guard shape.pointee.n_dim <= Shape.maximumRank else {
      throw reader.error(
        "\(what) '\(name)' has \(shape.pointee.n_dim) dimensions, the limit is \(Shape.maximumRank)")
    }
    let dimensions = (0..<shape.pointee.n_dim).map { index -> Int? in
      guard let dimension = shape.pointee.dim[index],
        dimension.pointee.value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE,
        dimension.pointee.dim_value > 0
      else { return nil }
      return Int(dimension.pointee.dim_value)
    }
    return Graph.Value(name: name, type: element, shape: dimensions)
  }
}
