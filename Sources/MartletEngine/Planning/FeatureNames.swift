/// Names of a model's features that its file carries.
package enum FeatureNames {
  /// The key under which exporters and users put a JSON array of names.
  package static let key = "feature_names"

  /// `names` as the JSON array that is kept under the key.
  package static func list(_ names: [String]) -> String {
    var text = "["
    for (index, name) in names.enumerated() {
      text += index == 0 ? "\"" : ", \""
      for scalar in name.unicodeScalars {
        switch scalar {
        case "\"", "\\": text += "\\" + String(scalar)
        case _ where scalar.value < 0x20:
          let digits = String(scalar.value, radix: 16)
          text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        default: text.unicodeScalars.append(scalar)
        }
      }
      text += "\""
    }
    return text + "]"
  }

  /// The names in a model's metadata, or nil when there are none or they are not a JSON array of texts.
  static func inMetadata(_ metadata: [String: String]) -> [String]? {
    guard let text = metadata[key], let names = parse(text), !names.isEmpty, Set(names).count == names.count else {
      return nil
    }
    return names
  }

  /// A JSON array of strings, nothing else.
  package static func parse(_ text: String) -> [String]? {
    var rest = Substring(text)[...]
    func skipSpace() { rest = rest.drop { $0 == " " || $0 == "\n" || $0 == "\t" || $0 == "\r" || $0 == "\r\n" } }
    skipSpace()
    guard rest.popFirst() == "[" else { return nil }
    var names: [String] = []
    skipSpace()
    if rest.first == "]" {
      rest.removeFirst()
    } else {
      repeat {
        skipSpace()
        guard let name = string(&rest) else { return nil }
        names.append(name)
        skipSpace()
        guard let next = rest.popFirst(), next == "," || next == "]" else { return nil }
        if next == "]" { break }
      } while true
    }
    skipSpace()
    return rest.isEmpty ? names : nil
  }

  private static func string(_ rest: inout Substring) -> String? {
    var scalars = rest.unicodeScalars
    guard scalars.popFirst() == "\"" else { return nil }
    var result = String.UnicodeScalarView()
    var high: UInt32?
    while let scalar = scalars.popFirst() {
      if scalar == "\"" {
        rest = Substring(scalars)
        return high == nil ? String(result) : nil
      }
      guard scalar == "\\" else {
        if scalar.value < 0x20 || high != nil { return nil }
        result.append(scalar)
        continue
      }
      guard let escape = scalars.popFirst() else { return nil }
      if escape == "u" {
        let digits = scalars.prefix(4)
        guard digits.count == 4, let code = UInt32(String(digits), radix: 16) else { return nil }
        scalars.removeFirst(4)
        // Characters beyond 16 bits come as a pair of surrogates.
        if let first = high {
          guard (0xdc00..<0xe000).contains(code),
            let pair = Unicode.Scalar(0x10000 + ((first - 0xd800) << 10) + (code - 0xdc00))
          else { return nil }
          result.append(pair)
          high = nil
        } else if (0xd800..<0xdc00).contains(code) {
          high = code
        } else {
          guard let character = Unicode.Scalar(code) else { return nil }
          result.append(character)
        }
        continue
      }
      guard high == nil,
        let plain = [
          "\"": "\"", "\\": "\\", "/": "/", "b": "\u{8}", "f": "\u{c}", "n": "\n",
          "r": "\r", "t": "\t",
        ][escape] as Unicode.Scalar?
      else { return nil }
      result.append(plain)
    }
    return nil
  }
}
