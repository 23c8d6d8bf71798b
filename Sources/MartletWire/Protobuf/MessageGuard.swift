import CProtobufC
import MartletCore

/// Checks what protobuf-c lets pass before it unpacks: strings that hold a NUL (a C string ends there) or are not
/// UTF-8, and nesting beyond a bound (protobuf-c recurses without one).
///
/// Bytes that this cannot read are malformed, whatever protobuf-c makes of them: it takes numbers of more than 64 bits
/// and fields beyond the last number, and what follows such a one would not have been checked.
public struct MessageGuard {
  private static let maximumDepth = 16

  public enum Finding: Equatable {
    case fine
    /// A string field that is not text, by its path, `inputs.name` for example.
    case invalidText(field: String)
    case tooDeep
    case malformed
  }

  /// - Parameter descriptor: of the message that `bytes` are said to be.
  public static func check(
    _ bytes: UnsafeRawBufferPointer, _ descriptor: UnsafePointer<ProtobufCMessageDescriptor>
  ) -> Finding {
    check(bytes, descriptor, depth: 0)
  }

  private static func check(
    _ bytes: UnsafeRawBufferPointer, _ descriptor: UnsafePointer<ProtobufCMessageDescriptor>, depth: Int
  ) -> Finding {
    guard depth < maximumDepth else { return .tooDeep }
    var reader = ProtoReader(bytes)
    while let (number, wire) = reader.tag() {
      guard wire == .lengthDelimited else {
        guard reader.skip(wire) else { return .malformed }
        continue
      }
      guard let value = reader.delimited() else { return .malformed }
      guard let field = protobuf_c_message_descriptor_get_field(descriptor, number) else { continue }
      switch field.pointee.type {
      case PROTOBUF_C_TYPE_STRING:
        if !isText(value) { return .invalidText(field: String(cString: field.pointee.name)) }
      case PROTOBUF_C_TYPE_MESSAGE:
        let inner = field.pointee.descriptor!.assumingMemoryBound(to: ProtobufCMessageDescriptor.self)
        switch check(value, inner, depth: depth + 1) {
        case .fine: break
        case .invalidText(let name): return .invalidText(field: String(cString: field.pointee.name) + "." + name)
        case .tooDeep: return .tooDeep
        case .malformed: return .malformed
        }
      default: break
      }
    }
    return reader.malformed ? .malformed : .fine
  }

  /// Whether the bytes are UTF-8 without a NUL.
  public static func isText(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var ascii = true
    for byte in bytes {
      if byte == 0 { return false }
      if byte >= 0x80 {
        ascii = false
        break
      }
    }
    if ascii { return true }
    return bytes.isUTF8 && !bytes.contains(0)
  }
}
