/// A map of a YAML file on its way into typed values: each key is asked for once, and `finish` refuses the keys that
/// nobody asked for.
///
/// Every reader returns nil when the key is not there; a key without a value is refused.
struct ConfigurationMap {
  let file: String
  /// Path of this map, `decision` for example; empty for the file itself.
  let path: String
  /// Line of the map, from 1; 0 for an empty file.
  let line: Int
  private let entries: [YAMLNode.Entry]
  private var asked: [String] = []
  /// Where each key that was read stands, by its path.
  private(set) var origins: [String: ConfigurationOrigin] = [:]

  /// The file as a whole; nil stands for one without content.
  init(_ root: YAMLNode?, file: String) throws(ConfigurationError) {
    try self.init(root, path: "", origin: .file(file, line: root?.line ?? 0), file: file)
  }

  private init(
    _ node: YAMLNode?, path: String, origin: ConfigurationOrigin, file: String
  ) throws(ConfigurationError) {
    self.file = file
    self.path = path
    line = node?.line ?? 0
    switch node?.content {
    case .map(let entries): self.entries = entries
    case _ where node?.isNull ?? true: entries = []
    default:
      throw ConfigurationError(
        origin, key: path.isEmpty ? nil : path, "got \(node?.kind ?? "nothing"), expected a map of keys")
    }
  }

  private func full(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

  private mutating func entry(_ key: String) -> YAMLNode.Entry? {
    asked.append(key)
    guard let entry = entries.first(where: { $0.key == key }) else { return nil }
    origins[full(key)] = .file(file, line: entry.line)
    return entry
  }

  private func scalar(_ entry: YAMLNode.Entry, expected: String) throws(ConfigurationError) -> String {
    guard case .scalar(let text, _) = entry.value.content, !entry.value.isNull else {
      throw ConfigurationError(
        .file(file, line: entry.line), key: full(entry.key), "got \(entry.value.kind), expected \(expected)")
    }
    return text
  }

  /// A single value that `read` understands; nil of `read` is refused with `expected`.
  mutating func value<Value>(
    _ key: String, expected: String, _ read: (String) -> Value?
  ) throws(ConfigurationError) -> Value? {
    guard let entry = entry(key) else { return nil }
    let text = try scalar(entry, expected: expected)
    guard let value = read(text) else {
      throw .badValue(.file(file, line: entry.line), key: full(key), got: text, expected: expected)
    }
    return value
  }

  /// A text of 1 to `bytes` bytes of UTF-8 without NUL.
  mutating func text(_ key: String, bytes: Int) throws(ConfigurationError) -> String? {
    try value(key, expected: "a text of 1 to \(bytes) bytes") { Self.isText($0, bytes: bytes) ? $0 : nil }
  }

  mutating func count(_ key: String, _ range: ClosedRange<Int>) throws(ConfigurationError) -> Int? {
    try value(key, expected: "a whole number from \(range.lowerBound) to \(range.upperBound)") { text in
      ConfigurationScalar.count(text).flatMap { range.contains($0) ? $0 : nil }
    }
  }

  mutating func number(_ key: String, _ range: ClosedRange<Double>) throws(ConfigurationError) -> Double? {
    try value(key, expected: "a number from \(range.lowerBound) to \(range.upperBound)") { text in
      ConfigurationScalar.number(text).flatMap { range.contains($0) ? $0 : nil }
    }
  }

  mutating func duration(_ key: String, _ range: ClosedRange<Duration>) throws(ConfigurationError) -> Duration? {
    let bounds = "\(ConfigurationScalar.show(range.lowerBound)) to \(ConfigurationScalar.show(range.upperBound))"
    return try value(key, expected: "a duration such as 200us or 5ms, from \(bounds)") { text in
      ConfigurationScalar.duration(text).flatMap { range.contains($0) ? $0 : nil }
    }
  }

  mutating func flag(_ key: String) throws(ConfigurationError) -> Bool? {
    try value(key, expected: "true or false", ConfigurationScalar.flag)
  }

  /// Distinct texts of 1 to `bytes` bytes each, 1 to `most` of them.
  mutating func texts(_ key: String, most: Int, bytes: Int) throws(ConfigurationError) -> [String]? {
    guard let entry = entry(key) else { return nil }
    return try texts(entry, most: most, bytes: bytes, expected: "a list of 1 to \(most) texts")
  }

  /// A switch or a list of distinct texts.
  mutating func flagOrTexts(
    _ key: String, most: Int, bytes: Int
  ) throws(ConfigurationError) -> (flag: Bool?, texts: [String])? {
    guard let entry = entry(key) else { return nil }
    let expected = "true, false, or a list of 1 to \(most) texts"
    if case .list = entry.value.content {
      return (nil, try texts(entry, most: most, bytes: bytes, expected: expected))
    }
    let text = try scalar(entry, expected: expected)
    guard let flag = ConfigurationScalar.flag(text) else {
      throw .badValue(.file(file, line: entry.line), key: full(key), got: text, expected: expected)
    }
    return (flag, [])
  }

  private func texts(
    _ entry: YAMLNode.Entry, most: Int, bytes: Int, expected: String
  ) throws(ConfigurationError) -> [String] {
    guard case .list(let items) = entry.value.content else {
      throw ConfigurationError(
        .file(file, line: entry.line), key: full(entry.key), "got \(entry.value.kind), expected \(expected)")
    }
    guard (1...most).contains(items.count) else {
      throw ConfigurationError(
        .file(file, line: entry.line), key: full(entry.key), "got a list of \(items.count), expected \(expected)")
    }
    var texts: [String] = []
    var seen: Set<String> = []
    for item in items {
      let origin = ConfigurationOrigin.file(file, line: item.line)
      guard case .scalar(let text, _) = item.content, !item.isNull else {
        throw ConfigurationError(origin, key: full(entry.key), "got \(item.kind) in the list, expected a text")
      }
      guard Self.isText(text, bytes: bytes) else {
        throw .badValue(origin, key: full(entry.key), got: text, expected: "texts of 1 to \(bytes) bytes")
      }
      guard seen.insert(text).inserted else {
        throw ConfigurationError(origin, key: full(entry.key), "\(ConfigurationError.quoted(text)) is given twice")
      }
      texts.append(text)
    }
    return texts
  }

  /// The map under a key; nil when it is not there. Hand it back to `finish(_:)` when its keys have been read.
  mutating func section(_ key: String) throws(ConfigurationError) -> ConfigurationMap? {
    guard let entry = entry(key) else { return nil }
    return try ConfigurationMap(
      entry.value, path: full(key), origin: .file(file, line: entry.line), file: file)
  }

  /// Ends a section: refuses what is left of it.
  mutating func finish(_ section: ConfigurationMap) throws(ConfigurationError) {
    try section.finish()
    origins.merge(section.origins) { _, new in new }
  }

  /// Refuses the keys that nobody asked for.
  func finish() throws(ConfigurationError) {
    for entry in entries where !asked.contains(entry.key) {
      throw .unknownKey(
        .file(file, line: entry.line), key: full(entry.key), known: asked.map { full($0) })
    }
  }

  /// A key that must be there.
  func require<Value>(_ value: Value?, _ key: String) throws(ConfigurationError) -> Value {
    guard let value else {
      throw ConfigurationError(
        .file(file, line: line), key: path.isEmpty ? nil : path, "\(key) is missing")
    }
    return value
  }

  private static func isText(_ text: String, bytes: Int) -> Bool {
    !text.isEmpty && text.utf8.count <= bytes && !text.utf8.contains(0)
  }
}
