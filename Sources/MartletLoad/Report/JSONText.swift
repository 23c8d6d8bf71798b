/// Writes JSON, fields in the order in which they come; the report needs no more of it.
struct JSONText {
  private(set) var text = ""
  private var needsComma = false

  mutating func object(_ body: (inout JSONText) -> Void) {
    separate()
    text += "{"
    needsComma = false
    body(&self)
    text += "}"
    needsComma = true
  }

  mutating func array(_ body: (inout JSONText) -> Void) {
    separate()
    text += "["
    needsComma = false
    body(&self)
    text += "]"
    needsComma = true
  }

  mutating func key(_ name: String) {
    separate()
    quote(name)
    text += ":"
    needsComma = false
  }

  mutating func field(_ name: String, _ value: String) {
    key(name)
    quote(value)
    needsComma = true
  }

  mutating func field(_ name: String, _ value: UInt64) { raw(name, "\(value)") }
  mutating func field(_ name: String, _ value: Int) { raw(name, "\(value)") }
  mutating func field(_ name: String, _ value: Bool) { raw(name, "\(value)") }

  /// A number; JSON has none that are not finite, so those are null.
  mutating func field(_ name: String, _ value: Double?) {
    raw(name, value.flatMap { $0.isFinite ? "\($0)" : nil } ?? "null")
  }

  private mutating func raw(_ name: String, _ value: String) {
    key(name)
    text += value
    needsComma = true
  }

  private mutating func separate() {
    if needsComma { text += "," }
    needsComma = true
  }

  private mutating func quote(_ value: String) {
    text += "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\t": text += "\\t"
      case "\u{0}"..."\u{1f}":
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: text.unicodeScalars.append(scalar)
      }
    }
    text += "\""
  }
}
