import MartletEngine

/// ONNX: a protobuf `ModelProto` with one graph of operators.
///
/// Source: onnx/onnx, `onnx/onnx.proto` and `docs/IR.md`.
enum ONNXFormat: ModelFormat {
  static let name = "onnx"

  /// Format versions: from the first with operator sets of the default domain from 7 on, to that of onnx 1.23.
  static let irVersions: ClosedRange<Int64> = 3...14

  /// The format has no magic number. A file of ours begins with a field of ModelProto, which no text does.
  static func recognizes(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard let first = bytes.first else { return false }
    switch first {
    // ir_version and model_version are varints; names, graph, operator sets and metadata have lengths.
    case 0x08, 0x28, 0x12, 0x1a, 0x22, 0x32, 0x3a, 0x42, 0x72: return true
    default: return false
    }
  }

  static func read(_ bytes: UnsafeRawBufferPointer) throws(ModelError) -> Graph {
    var reader = ONNXReader()
    do {
      return try reader.model(ProtobufReader(file: bytes))
    } catch {
      throw ModelError("ONNX file, \(error.message)")
    }
  }
}
