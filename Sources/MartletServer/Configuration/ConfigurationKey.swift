import MartletRepository

/// One setting: its path, how it is written, what is allowed, what it does. Validation, the names of environment
/// variables, `--print-config` and the annotated file all come from the list of these.
public struct ConfigurationKey: Sendable {
  typealias Field<Value> = any WritableKeyPath<ServerConfiguration, Value> & Sendable

  /// `limits.max_connections` for example.
  public let path: String
  /// One or two sentences for the person who sets it.
  public let documentation: String
  /// What a value must be, `a whole number from 1 to 100` for example.
  public let expected: String
  /// Whether the value is a list; a list in the environment is divided by commas.
  public let isList: Bool
  /// Whether a value may hold anything, so that YAML may need quotes around it.
  let isText: Bool
  /// Writes the values, one unless it is a list; false when one of them does not fit.
  let set: @Sendable (inout ServerConfiguration, [String]) -> Bool
  /// The values as texts that `set` reads.
  let show: @Sendable (ServerConfiguration) -> [String]

  /// `MARTLET_LIMITS_MAX_CONNECTIONS` for example.
  public var environmentName: String {
    Self.environmentPrefix + path.uppercased().map { $0 == "." ? "_" : String($0) }.joined()
  }

  static let environmentPrefix = "MARTLET_"

  /// `limits` of `limits.max_connections`, empty for a key without a section.
  var section: String { path.contains(".") ? String(path.prefix { $0 != "." }) : "" }
  var name: String { section.isEmpty ? path : String(path.dropFirst(section.count + 1)) }

  private static func scalar<Value>(
    _ path: String, _ field: Field<Value>, expected: String, _ documentation: String, isText: Bool = false,
    read: @escaping @Sendable (String) -> Value?, show: @escaping @Sendable (Value) -> String
  ) -> ConfigurationKey {
    ConfigurationKey(
      path: path, documentation: documentation, expected: expected, isList: false,
      isText: isText,
      set: { configuration, values in
        guard values.count == 1, let value = read(values[0]) else { return false }
        configuration[keyPath: field] = value
        return true
      },
      show: { [show($0[keyPath: field])] })
  }

  static func count(
    _ path: String, _ field: Field<Int>, _ range: ClosedRange<Int>, _ documentation: String
  ) -> ConfigurationKey {
    scalar(
      path, field, expected: "a whole number from \(range.lowerBound) to \(range.upperBound)", documentation,
      read: { text in ConfigurationScalar.count(text).flatMap { range.contains($0) ? $0 : nil } },
      show: { String($0) })
  }

  /// A number that the server picks itself when the text is `auto`.
  static func automaticCount(
    _ path: String, _ field: Field<Int?>, _ range: ClosedRange<Int>, _ documentation: String
  ) -> ConfigurationKey {
    scalar(
      path, field, expected: "auto, or a whole number from \(range.lowerBound) to \(range.upperBound)", documentation,
      read: { text in
        if text == "auto" { return .some(nil) }
        return ConfigurationScalar.count(text).flatMap { range.contains($0) ? .some($0) : nil }
      },
      show: { $0.map { String($0) } ?? "auto" })
  }

  static func bytes(
    _ path: String, _ field: Field<Int>, _ range: ClosedRange<Int>, _ documentation: String
  ) -> ConfigurationKey {
    let bounds =
      "\(ConfigurationScalar.show(bytes: range.lowerBound)) to \(ConfigurationScalar.show(bytes: range.upperBound))"
    return scalar(
      path, field, expected: "a size such as 64KiB or 4MiB, from \(bounds)", documentation,
      read: { text in ConfigurationScalar.bytes(text).flatMap { range.contains($0) ? $0 : nil } },
      show: { ConfigurationScalar.show(bytes: $0) })
  }

  static func duration(
    _ path: String, _ field: Field<Duration>, _ range: ClosedRange<Duration>, _ documentation: String
  ) -> ConfigurationKey {
    let bounds = "\(ConfigurationScalar.show(range.lowerBound)) to \(ConfigurationScalar.show(range.upperBound))"
    return scalar(
      path, field, expected: "a duration such as 200us, 5ms or 30s, from \(bounds)", documentation,
      read: { text in ConfigurationScalar.duration(text).flatMap { range.contains($0) ? $0 : nil } },
      show: { ConfigurationScalar.show($0) })
  }

  static func flag(_ path: String, _ field: Field<Bool>, _ documentation: String) -> ConfigurationKey {
    scalar(
      path, field, expected: "true or false", documentation, read: ConfigurationScalar.flag,
      show: { $0 ? "true" : "false" })
  }

  static func choice<Value: RawRepresentable & CaseIterable & Sendable>(
    _ path: String, _ field: Field<Value>, _ documentation: String
  ) -> ConfigurationKey where Value.RawValue == String {
    scalar(
      path, field, expected: "one of \(Value.allCases.map(\.rawValue).joined(separator: ", "))", documentation,
      read: { Value(rawValue: $0) }, show: { $0.rawValue })
  }

  static func path(_ path: String, _ field: Field<String>, _ documentation: String) -> ConfigurationKey {
    scalar(
      path, field, expected: "a path of 1 to 4095 bytes", documentation, isText: true,
      read: { $0.isEmpty || $0.utf8.count > 4095 || $0.utf8.contains(0) ? nil : $0 }, show: { $0 })
  }

  /// The path of a socket's file, or `off`.
  static func optionalSocketPath(
    _ path: String, _ field: Field<String?>, most: Int, _ documentation: String
  ) -> ConfigurationKey {
    scalar(
      path, field, expected: "a path of 1 to \(most) bytes, or off", documentation, isText: true,
      read: { text in
        if text == "off" { return .some(nil) }
        return text.isEmpty || text.utf8.count > most || text.utf8.contains(0) ? nil : .some(text)
      },
      show: { $0 ?? "off" })
  }

  /// An address, or `off`.
  static func optionalAddress(
    _ path: String, _ field: Field<HostPort?>, _ documentation: String
  ) -> ConfigurationKey {
    scalar(
      path, field, expected: "\(HostPort.expected), or off", documentation,
      read: { text in
        if text == "off" { return .some(nil) }
        return HostPort(text).map { .some($0) }
      },
      show: { $0.map { $0.description } ?? "off" })
  }

  static func addresses(
    _ path: String, _ field: Field<[ListenAddress]>, most: Int, _ documentation: String
  ) -> ConfigurationKey {
    ConfigurationKey(
      path: path, documentation: documentation, expected: "1 to \(most) times \(ListenAddress.expected)", isList: true,
      isText: true,
      set: { configuration, values in
        let addresses = values.compactMap { ListenAddress($0) }
        guard addresses.count == values.count, (1...most).contains(addresses.count) else { return false }
        configuration[keyPath: field] = addresses
        return true
      },
      show: { $0[keyPath: field].map(\.description) })
  }
}
