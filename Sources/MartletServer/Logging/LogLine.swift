import Glibc
import Logging

/// One line of the log before it is written: what was said, by whom and when.
struct LogLine: Sendable {
  /// Nanoseconds since 1970.
  var time: UInt64
  var level: Logger.Level
  var label: String
  var message: String
  var metadata: Logger.Metadata

  /// Bytes of a line with its end; what a pipe takes whole, so that lines of several processes do not mix.
  static let maximumBytes = 4096
  /// Bytes of a message, key or value as written; longer ones are cut.
  private static let maximumValueBytes = 1024

  /// `TIME LEVEL LABEL: MESSAGE KEY=VALUE…` for people; control characters are escaped, so it is one line.
  func text() -> [UInt8] {
    var line = "\(timestamp) \(level.rawValue.padded(to: 8)) \(Self.escaped(label)): \(Self.escaped(message))"
    for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
      let value = value.description
      let isPlain = !value.isEmpty && value.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F && $0 != 0x22 && $0 != 0x3D }
      let item = " \(Self.escaped(key))=" + (isPlain ? Self.escaped(value) : Self.quoted(value))
      if line.utf8.count + item.utf8.count > Self.maximumBytes - 8 {
        line += " …"
        break
      }
      line += item
    }
    return Array(line.utf8) + [0x0A]
  }

  /// An object with `time`, `level`, `logger`, `message` and one member for each piece of metadata, for collectors.
  func json() -> [UInt8] {
    var line =
      "{\"time\":\"\(timestamp)\",\"level\":\"\(level.rawValue)\",\"logger\":\(Self.quoted(label)),"
      + "\"message\":\(Self.quoted(message))"
    for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
      let isTaken = ["time", "level", "logger", "message", "truncated"].contains(key)
      let item = ",\(Self.quoted(isTaken ? key + "_" : key)):\(Self.json(value, depth: 0))"
      if line.utf8.count + item.utf8.count > Self.maximumBytes - 32 {
        line += ",\"truncated\":true"
        break
      }
      line += item
    }
    return Array(line.utf8) + Array("}\n".utf8)
  }

  private static func json(_ value: Logger.MetadataValue, depth: Int) -> String {
    switch value {
    case .array(let items) where depth < 4:
      return "[" + items.map { json($0, depth: depth + 1) }.joined(separator: ",") + "]"
    case .dictionary(let items) where depth < 4:
      return "{"
        + items.sorted { $0.key < $1.key }.map { "\(quoted($0.key)):\(json($0.value, depth: depth + 1))" }
        .joined(separator: ",") + "}"
    default: return quoted(value.description)
    }
  }

  /// As a JSON string.
  private static func quoted(_ text: String) -> String { "\"" + escaped(text, isQuoted: true) + "\"" }

  private static func escaped(_ text: String, isQuoted: Bool = false) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      if result.utf8.count >= maximumValueBytes { return result + "…" }
      switch scalar {
      case "\"" where isQuoted: result += "\\\""
      case "\\" where isQuoted: result += "\\\\"
      default: append(scalar, to: &result)
      }
    }
    return result
  }

  /// Escapes what would move a terminal's cursor, end the line or turn its direction.
  private static func append(_ scalar: Unicode.Scalar, to text: inout String) {
    switch scalar {
    case "\n": text += "\\n"
    case "\t": text += "\\t"
    case "\r": text += "\\r"
    default:
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator:
        // Beyond the basic plane JSON would need two units; the few such characters that format are left out.
        if scalar.value <= 0xFFFF {
          let hex = String(scalar.value, radix: 16)
          text += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
        }
      default: text.unicodeScalars.append(scalar)
      }
    }
  }

  /// RFC 3339 in UTC with milliseconds.
  private var timestamp: String {
    var seconds = time_t(time / 1_000_000_000)
    var parts = tm()
    gmtime_r(&seconds, &parts)
    func two(_ number: Int32) -> String { String(number).zeroPadded(to: 2) }
    return "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))T\(two(parts.tm_hour)):"
      + "\(two(parts.tm_min)):\(two(parts.tm_sec)).\(String(time / 1_000_000 % 1000).zeroPadded(to: 3))Z"
  }
}

extension String {
  fileprivate func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }

  fileprivate func zeroPadded(to width: Int) -> String { String(repeating: "0", count: max(0, width - count)) + self }
}
