import CProtobufC
import Glibc

extension UnsafeRawBufferPointer {
  /// The bytes of a string of protobuf-c, without its NUL.
  init(text: UnsafePointer<CChar>?) {
    self.init(start: text, count: text.map { strlen($0) } ?? 0)
  }

  /// The bytes of a bytes field of protobuf-c.
  init(_ data: ProtobufCBinaryData) { self.init(start: data.data, count: data.len) }

  /// What came, for a message: at most 64 bytes of it, in quotes.
  var quoted: String {
    let text = String(decoding: prefix(64), as: UTF8.self)
    return count > 64 ? "\"\(text)…\"" : "\"\(text)\""
  }
}
