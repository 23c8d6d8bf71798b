import Glibc

/// The system's words for an `errno`.
func errorText(_ error: Int32) -> String {
  var text = [CChar](repeating: 0, count: 128)
  guard strerror_r(error, &text, text.count) == 0 else { return "error \(error)" }
  return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
