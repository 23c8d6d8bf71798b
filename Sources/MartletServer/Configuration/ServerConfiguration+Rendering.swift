import MartletRepository

extension ServerConfiguration {
  /// The values in effect as YAML, each with where it came from in a comment; what `serve --print-config` shows.
  /// Reads back as the same configuration.
  public func renderEffective() -> String {
    var lines: [(text: String, comment: String)] = []
    var section = ""
    for key in Self.keys {
      if key.section != section {
        section = key.section
        lines.append(("\(section):", ""))
      }
      lines.append((Self.entry(key, self), "\(origins[key.path] ?? .standard)"))
    }
    let width = min(60, lines.map(\.text.count).max() ?? 0)
    return lines.map { text, comment in
      comment.isEmpty ? text : text + String(repeating: " ", count: max(0, width - text.count)) + "  # \(comment)"
    }.joined(separator: "\n") + "\n"
  }

  /// The file that holds every key with its default and what it does; committed as `deployment/martlet.yaml`.
  public static func renderAnnotatedDefaults() -> String {
    var text = """
      # Every setting of a Martlet server with its default. Written from the server's own list of keys, and a test
      # compares the two, so this file is complete.
      #
      # A flag wins over the environment, the environment over this file, this file over the default;
      # `martlet serve --print-config` shows the values in effect and where each came from. A key that is not known
      # and a value that does not fit are refused with their line.
      #
      # SIGHUP reads it again: keys that say so take their new value while the server runs, of others the log says that
      # they wait for a restart. A file that is wrong changes nothing.
      #
      # Durations take ns, us, ms, s, m or h; sizes take B, KiB, MiB or GiB.

      """
    let defaults = ServerConfiguration()
    var section = ""
    for key in keys {
      text += "\n"
      if key.section != section {
        section = key.section
        let about = sections.first { $0.name == section }?.documentation ?? ""
        text += comment(about, indent: "") + "\(section):\n"
      }
      let indent = section.isEmpty ? "" : "  "
      text += comment(key.documentation, indent: indent)
      let reload = reloadable.contains(key.path) ? " Changes at SIGHUP." : ""
      text += comment("Takes \(key.expected).\(reload) \(key.environmentName)", indent: indent)
      text += entry(key, defaults) + "\n"
    }
    return text
  }

  private static func entry(_ key: ConfigurationKey, _ configuration: ServerConfiguration) -> String {
    let values = key.show(configuration).map { key.isText ? ConfigurationScalar.yaml($0) : $0 }
    let text = key.isList ? "[\(values.joined(separator: ", "))]" : values[0]
    return "\(key.section.isEmpty ? "" : "  ")\(key.name): \(text)"
  }

  /// The text as comment lines of at most 110 characters.
  private static func comment(_ text: String, indent: String) -> String {
    var lines: [String] = []
    var line = ""
    for word in text.split(separator: " ") {
      if !line.isEmpty, indent.count + 2 + line.count + 1 + word.count > 110 {
        lines.append(line)
        line = ""
      }
      line += line.isEmpty ? String(word) : " \(word)"
    }
    lines.append(line)
    return lines.map { "\(indent)# \($0)\n" }.joined()
  }
}
