import MartletRepository

/// A flag of the command line that sets a key.
public struct ConfigurationOverride: Sendable {
  /// Path of the key, `listen` for example. A key with a list may come several times.
  public var path: String
  public var value: String
  /// The flag as the caller typed it, for messages: `--listen`.
  public var flag: String

  public init(path: String, value: String, flag: String) {
    self.path = path
    self.value = value
    self.flag = flag
  }
}

extension ServerConfiguration {
  private static let keysByPath = Dictionary(uniqueKeysWithValues: keys.map { ($0.path, $0) })

  /// Reads the settings: a flag wins over the environment, the environment over the file, the file over the default.
  ///
  /// - Parameters:
  ///   - file: path of a YAML file; nil for none.
  ///   - environment: variables by name; those named after a key (`MARTLET_LIMITS_MAX_CONNECTIONS`) are read.
  ///   - overrides: flags, in the order given.
  ///
  /// Unknown keys and bad values are refused wherever they stand, also where something else would win over them.
  public static func load(
    file: String?, environment: [String: String], overrides: [ConfigurationOverride]
  ) throws(ConfigurationError) -> ServerConfiguration {
    var configuration = ServerConfiguration()
    if let file, let root = try YAMLNode.read(file: file) { try configuration.apply(root, section: "", file: file) }
    try configuration.apply(environment: environment)
    try configuration.apply(overrides: overrides)
    try configuration.checkTogether()
    return configuration
  }

  private mutating func apply(
    _ key: ConfigurationKey, _ values: [String], from origin: ConfigurationOrigin
  ) throws(ConfigurationError) {
    guard key.set(&self, values) else {
      throw .badValue(origin, key: key.path, got: values.joined(separator: ", "), expected: key.expected)
    }
    origins[key.path] = origin
  }

  // MARK: File

  private mutating func apply(_ node: YAMLNode, section: String, file: String) throws(ConfigurationError) {
    guard case .map(let entries) = node.content else {
      if node.isNull { return }
      throw ConfigurationError(
        .file(file, line: node.line), key: section.isEmpty ? nil : section, "got \(node.kind), expected a map of keys")
    }
    for entry in entries {
      let path = section.isEmpty ? entry.key : "\(section).\(entry.key)"
      let origin = ConfigurationOrigin.file(file, line: entry.line)
      if let key = Self.keysByPath[path] {
        try apply(key, try Self.values(entry.value, of: key, from: origin, in: file), from: origin)
      } else if section.isEmpty, Self.sections.contains(where: { $0.name == entry.key }) {
        try apply(entry.value, section: entry.key, file: file)
      } else {
        let here = Self.keys.filter { $0.section == section }.map(\.path)
        throw .unknownKey(origin, key: path, known: section.isEmpty ? here + Self.sections.map(\.name) : here)
      }
    }
  }

  private static func values(
    _ node: YAMLNode, of key: ConfigurationKey, from origin: ConfigurationOrigin, in file: String
  ) throws(ConfigurationError) -> [String] {
    var values: [String] = []
    switch node.content {
    case .scalar(let text, _) where !node.isNull: values = [text]
    case .list(let items) where key.isList:
      for item in items {
        guard case .scalar(let text, _) = item.content, !item.isNull else {
          throw ConfigurationError(
            .file(file, line: item.line), key: key.path, "got \(item.kind) in the list, expected \(key.expected)")
        }
        values.append(text)
      }
    default: throw ConfigurationError(origin, key: key.path, "got \(node.kind), expected \(key.expected)")
    }
    return values
  }

  // MARK: Environment

  private mutating func apply(environment: [String: String]) throws(ConfigurationError) {
    for key in Self.keys {
      guard let text = environment[key.environmentName] else { continue }
      let values = key.isList ? text.split(separator: ",").map { Self.trimmed($0) } : [text]
      try apply(key, values, from: .environment(key.environmentName))
    }
    let known = Set(Self.keys.map(\.environmentName))
    for (name, value) in environment.sorted(by: { $0.key < $1.key })
    where !known.contains(name) && Self.looksLikeKey(name) && !Self.isServiceLink(name, value) {
      throw .unknownKey(.environment(name), key: name, known: known.sorted())
    }
  }

  /// Whether a variable is meant as a key: it begins with the name of a section. Others that begin with `MARTLET_`
  /// belong to somebody else, the client for example.
  private static func looksLikeKey(_ name: String) -> Bool {
    sections.contains { name.hasPrefix(ConfigurationKey.environmentPrefix + $0.name.uppercased() + "_") }
  }

  /// Kubernetes and Docker describe a service called `martlet-models` in variables such as
  /// `MARTLET_MODELS_SERVICE_HOST` and `MARTLET_MODELS_PORT_8001_TCP`, which nobody wrote.
  private static func isServiceLink(_ name: String, _ value: String) -> Bool {
    name.contains("_SERVICE_HOST") || name.contains("_SERVICE_PORT") || value.hasPrefix("tcp://")
      || value.hasPrefix("udp://") || name.contains("_TCP") || name.contains("_UDP")
  }

  private static func trimmed(_ text: Substring) -> String {
    var text = text
    while text.first == " " { text = text.dropFirst() }
    while text.last == " " { text = text.dropLast() }
    return String(text)
  }

  // MARK: Flags

  private mutating func apply(overrides: [ConfigurationOverride]) throws(ConfigurationError) {
    var lists: [String: [String]] = [:]
    for override in overrides {
      let origin = ConfigurationOrigin.flag(override.flag)
      guard let key = Self.keysByPath[override.path] else {
        throw .unknownKey(origin, key: override.path, known: Self.keys.map(\.path))
      }
      if key.isList {
        lists[key.path, default: []].append(override.value)
        guard key.set(&self, [override.value]) else {
          throw .badValue(origin, key: key.path, got: override.value, expected: key.expected)
        }
        try apply(key, lists[key.path]!, from: origin)
      } else {
        try apply(key, [override.value], from: origin)
      }
    }
  }

  // MARK: Keys that must fit each other

  /// Whether somebody said what the key's value is.
  func isSet(_ path: String) -> Bool { origins[path] != nil }

  private func origin(of path: String) -> ConfigurationOrigin { origins[path] ?? .standard }

  func checkTogether() throws(ConfigurationError) {
    if let address = admin.address, !address.isLoopback, !admin.allowRemote {
      throw ConfigurationError(
        origin(of: "admin.address"), key: "admin.address",
        "\(address) can be reached from other machines, and the endpoint has neither TLS nor a login; "
          + "use a loopback address, or set admin.allow_remote to true")
    }
    var seen: Set<ListenAddress> = []
    for address in listen {
      if case .tcp(_, 0) = address { continue }
      guard seen.insert(address).inserted else {
        throw ConfigurationError(origin(of: "listen"), key: "listen", "\(address) is given twice")
      }
    }
    try check("limits.frame_bytes", atMost: "limits.write_buffer_bytes", limits.frameBytes <= limits.writeBufferBytes)
    try check(
      "limits.message_memory_bytes", atMost: "limits.request_memory_bytes",
      limits.messageMemoryBytes <= limits.requestMemoryBytes)
    try check("batching.max_rows", atMost: "batching.max_queue_rows", batching.maxRows <= batching.maxQueueRows)
    try check(
      "batching.default_priority", atMost: "batching.priority_levels",
      batching.defaultPriority ?? 1 <= batching.priorityLevels)
  }

  private func check(_ path: String, atMost bound: String, _ holds: Bool) throws(ConfigurationError) {
    guard !holds else { return }
    // Whichever was set is the one to correct.
    let (culprit, other, relation) =
      origins[path] != nil ? (path, bound, "at most") : (bound, path, "at least")
    throw ConfigurationError(
      origin(of: culprit), key: culprit,
      "got \(shown(culprit)), expected \(relation) \(other), which is \(shown(other)) (\(origin(of: other)))")
  }

  private func shown(_ path: String) -> String {
    Self.keysByPath[path].map { $0.show(self).joined(separator: ", ") } ?? ""
  }

  /// Every key with its value and where that came from, in the order of the keys.
  public var effective: [(path: String, values: [String], origin: ConfigurationOrigin)] {
    Self.keys.map { ($0.path, $0.show(self), origin(of: $0.path)) }
  }
}
