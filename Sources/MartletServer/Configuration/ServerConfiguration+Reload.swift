import MartletRepository

extension ServerConfiguration {
  /// Keys whose values may change while the server runs; the others keep theirs until a restart.
  static let reloadable: Set<String> = [
    "models.directory", "models.readiness", "models.planning_time",
    "rounds.connection_calls",
    "limits.max_connections_per_address", "limits.calls_per_connection", "limits.calls_in_flight",
    "limits.rows_per_call", "limits.frame_bytes", "limits.write_buffer_bytes", "limits.write_high_water_bytes",
    "limits.buffer_bytes", "limits.model_file_bytes", "limits.model_changes",
    "timeouts.first_byte", "timeouts.idle", "timeouts.frame", "timeouts.write", "timeouts.linger",
    "timeouts.accept_backoff", "timeouts.grace", "timeouts.drain",
    "logging.format", "logging.level", "logging.lines_per_second",
  ]

  /// What reading the configuration again comes to.
  struct Reload: Sendable {
    /// What holds from now on.
    var configuration: ServerConfiguration
    /// Keys that have another value now, in the order of the keys.
    var changed: [String] = []
    /// Keys whose new value waits for a restart.
    var waiting: [String] = []
  }

  /// Takes over from `other` what may change at run time.
  ///
  /// Throws when the keys that change do not fit those that have to stay.
  func reloaded(from other: ServerConfiguration) throws(ConfigurationError) -> Reload {
    var reload = Reload(configuration: self)
    for key in Self.keys where key.show(self) != key.show(other) {
      guard Self.reloadable.contains(key.path) else {
        reload.waiting.append(key.path)
        continue
      }
      _ = key.set(&reload.configuration, key.show(other))
      reload.configuration.origins[key.path] = other.origins[key.path]
      reload.changed.append(key.path)
    }
    try reload.configuration.checkTogether()
    return reload
  }

  /// The values of these keys, `limits.rows_per_call=100` for example.
  func listed(_ paths: [String]) -> String {
    Self.keys.filter { paths.contains($0.path) }.map { "\($0.path)=\($0.show(self).joined(separator: ","))" }
      .joined(separator: " ")
  }
}

/// Where a server's settings are read from, as often as they are.
public struct ConfigurationSource: Sendable {
  private let file: String?
  private let environment: [String: String]
  private let overrides: [ConfigurationOverride]

  /// - Parameters: as those of `ServerConfiguration.load`.
  public init(file: String?, environment: [String: String], overrides: [ConfigurationOverride]) {
    self.file = file
    self.environment = environment
    self.overrides = overrides
  }

  /// Reads them. A file that cannot be read or does not fit is an error, and nothing of it is taken.
  public func load() throws(ConfigurationError) -> ServerConfiguration {
    try ServerConfiguration.load(file: file, environment: environment, overrides: overrides)
  }
}
