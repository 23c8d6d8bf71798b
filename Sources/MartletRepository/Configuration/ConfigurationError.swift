/// Where a configuration value came from.
public enum ConfigurationOrigin: Sendable, Equatable {
  case standard
  /// Line 0 stands for the file as a whole.
  case file(String, line: Int)
  case environment(String)
  case flag(String)
}

extension ConfigurationOrigin: CustomStringConvertible {
  public var description: String {
    switch self {
    case .standard: "default"
    case .file(let path, line: 0): path
    case .file(let path, let line): "\(path):\(line)"
    case .environment(let name): "environment \(name)"
    case .flag(let name): "flag \(name)"
    }
  }
}

/// Why a configuration was refused: where, which key, what came and what was expected.
public struct ConfigurationError: Error, Sendable, Equatable {
  public var origin: ConfigurationOrigin
  /// Path of the key, `limits.max_connections` for example; nil when it is the file as a whole.
  public var key: String?
  public var message: String

  public init(_ origin: ConfigurationOrigin, key: String? = nil, _ message: String) {
    self.origin = origin
    self.key = key
    self.message = message
  }

  /// A value that does not fit its key.
  public static func badValue(
    _ origin: ConfigurationOrigin, key: String, got value: String, expected: String
  ) -> ConfigurationError {
    ConfigurationError(origin, key: key, "got \(quoted(value)), expected \(expected)")
  }

  /// A key that nobody reads; names the nearest of those that exist there.
  public static func unknownKey(
    _ origin: ConfigurationOrigin, key: String, known: [String]
  ) -> ConfigurationError {
    let hint: String
    if let near = nearest(to: key, among: known) {
      hint = "did you mean \(near)?"
    } else {
      hint = "known keys are \(known.joined(separator: ", "))"
    }
    return ConfigurationError(origin, key: quoted(key, marks: ""), "unknown key; \(hint)")
  }

  /// The value as a message shows it: at most 80 characters, control characters escaped.
  public static func quoted(_ text: String, marks: String = "\"") -> String {
    var shown = marks
    for (index, scalar) in text.unicodeScalars.enumerated() {
      if index == 80 {
        shown += "…"
        break
      }
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate:
        shown += scalar.escaped(asASCII: true)
      default: shown.unicodeScalars.append(scalar)
      }
    }
    return shown + marks
  }

  private static func nearest(to key: String, among known: [String]) -> String? {
    let wanted = Array(key.unicodeScalars.prefix(80))
    var best: (name: String, distance: Int)?
    for name in known {
      let distance = editDistance(wanted, Array(name.unicodeScalars))
      if distance <= max(2, name.count / 4), distance < best?.distance ?? .max { best = (name, distance) }
    }
    return best?.name
  }

  /// Least number of insertions, deletions and replacements (Levenshtein) that turn `a` into `b`.
  private static func editDistance(_ a: [Unicode.Scalar], _ b: [Unicode.Scalar]) -> Int {
    var row = Array(0...b.count)
    for (i, x) in a.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for (j, y) in b.enumerated() {
        let replaced = diagonal + (x == y ? 0 : 1)
        diagonal = row[j + 1]
        row[j + 1] = min(replaced, row[j] + 1, diagonal + 1)
      }
    }
    return row[b.count]
  }
}

extension ConfigurationError: CustomStringConvertible {
  public var description: String {
    if let key { "\(origin): \(key): \(message)" } else { "\(origin): \(message)" }
  }
}
