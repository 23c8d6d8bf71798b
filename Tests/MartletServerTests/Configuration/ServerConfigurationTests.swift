import Foundation
import MartletRepository
import Testing

@testable import MartletServer

/// Writes `text` to a file that lives as long as the test, and hands its path to `body`.
private func withFile<Result>(_ text: String, _ body: (String) throws -> Result) throws -> Result {
  let directory = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-\(UUID().uuidString)")
  try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(at: directory) }
  let path = directory.appendingPathComponent("martlet.yaml").path
  try text.write(toFile: path, atomically: false, encoding: .utf8)
  return try body(path)
}

private func load(
  _ text: String? = nil, environment: [String: String] = [:], overrides: [ConfigurationOverride] = []
) throws -> ServerConfiguration {
  guard let text else { return try .load(file: nil, environment: environment, overrides: overrides) }
  return try withFile(text) { try .load(file: $0, environment: environment, overrides: overrides) }
}

/// What a configuration is refused with, without the directory of the file.
private func refusal(
  _ text: String? = nil, environment: [String: String] = [:], overrides: [ConfigurationOverride] = []
) -> String {
  do {
    _ = try load(text, environment: environment, overrides: overrides)
    return "accepted"
  } catch {
    let message = "\(error)"
    guard let name = message.range(of: "martlet.yaml") else { return message }
    return String(message[name.lowerBound...])
  }
}

@Suite("Server configuration")
struct ServerConfigurationTests {
  @Test("without a file, variables and flags every key has its default")
  func defaults() throws {
    let configuration = try load()
    #expect(configuration == ServerConfiguration())
    #expect(configuration.effective.allSatisfy { $0.origin == .standard })
    #expect(configuration.listen == [.tcp(host: "127.0.0.1", port: 8001)])
  }

  @Test("a flag wins over the environment, the environment over the file, the file over the default")
  func order() throws {
    let configuration = try load(
      """
      limits:
        max_connections: 10
        calls_per_connection: 11
        rows_per_call: 12
      """,
      environment: ["MARTLET_LIMITS_MAX_CONNECTIONS": "20", "MARTLET_LIMITS_CALLS_PER_CONNECTION": "21"],
      overrides: [ConfigurationOverride(path: "limits.max_connections", value: "30", flag: "--max-connections")])
    #expect(configuration.limits.maxConnections == 30)
    #expect(configuration.limits.callsPerConnection == 21)
    #expect(configuration.limits.rowsPerCall == 12)
    let origins = Dictionary(uniqueKeysWithValues: configuration.effective.map { ($0.path, $0.origin) })
    #expect(origins["limits.max_connections"] == .flag("--max-connections"))
    #expect(origins["limits.calls_per_connection"] == .environment("MARTLET_LIMITS_CALLS_PER_CONNECTION"))
    guard case .file(_, line: 4) = origins["limits.rows_per_call"] else {
      Issue.record("expected line 4, got \(String(describing: origins["limits.rows_per_call"]))")
      return
    }
  }

  @Test("every key reads back what it shows, from the file, the environment and a flag alike")
  func everyKeyReadsBack() throws {
    for key in ServerConfiguration.keys {
      let shown = key.show(ServerConfiguration())
      let environment = [key.environmentName: shown.joined(separator: ",")]
      let overrides = shown.map { ConfigurationOverride(path: key.path, value: $0, flag: "--set") }
      #expect(key.show(try load(environment: environment)) == shown)
      #expect(key.show(try load(overrides: overrides)) == shown)
    }
  }

  @Test("no two keys share a path or the name of a variable, and each belongs to a documented section")
  func keysAreDistinct() {
    let keys = ServerConfiguration.keys
    #expect(Set(keys.map(\.path)).count == keys.count)
    #expect(Set(keys.map(\.environmentName)).count == keys.count)
    let sections = Set(ServerConfiguration.sections.map(\.name))
    for key in keys where !key.section.isEmpty { #expect(sections.contains(key.section), "\(key.path)") }
    #expect(sections == Set(keys.map(\.section)).subtracting([""]))
  }

  @Test("durations, sizes, lists, choices, switches and automatic counts are read as typed values")
  func typedValues() throws {
    let configuration = try load(
      """
      listen: [tcp://127.0.0.1:0, "tcp://[::1]:9", unix:///run/martlet.sock]
      poller: dispatch
      reactors: 3
      scorers: auto
      admin: {address: off}
      models: {directory: /srv/models, readiness: any}
      batching: {inline_budget: 1.5ms}
      limits: {frame_bytes: 64KiB}
      timeouts: {idle: 0s, drain: 2m}
      logging: {format: json, level: debug}
      """)
    #expect(
      configuration.listen == [
        .tcp(host: "127.0.0.1", port: 0), .tcp(host: "::1", port: 9), .unix(path: "/run/martlet.sock"),
      ])
    #expect(configuration.poller == .dispatch)
    #expect(configuration.reactors == 3)
    #expect(configuration.scorers == nil)
    #expect(configuration.admin.address == nil)
    #expect(configuration.models.readiness == .any)
    #expect(configuration.batching.inlineBudget == .microseconds(1500))
    #expect(configuration.limits.frameBytes == 65_536)
    #expect(configuration.timeouts.idle == .zero)
    #expect(configuration.timeouts.drain == .seconds(120))
    #expect(configuration.logging.format == .json)
    #expect(configuration.logging.level == .debug)
  }

  @Test("several flags for a list add up and replace what the file says")
  func repeatedFlags() throws {
    let configuration = try load(
      "listen: [tcp://127.0.0.1:1]",
      overrides: [
        ConfigurationOverride(path: "listen", value: "tcp://127.0.0.1:2", flag: "--listen"),
        ConfigurationOverride(path: "listen", value: "unix:/tmp/m.sock", flag: "--listen"),
      ])
    #expect(configuration.listen == [.tcp(host: "127.0.0.1", port: 2), .unix(path: "/tmp/m.sock")])
  }

  @Test("a bad value is refused with its line, what came and what was expected")
  func badValues() {
    #expect(
      refusal("limits:\n  # many\n  max_connections: lots\n")
        == "martlet.yaml:3: limits.max_connections: got \"lots\", expected a whole number from 1 to 1000000")
    #expect(
      refusal("limits: {max_connections: 0}")
        == "martlet.yaml:1: limits.max_connections: got \"0\", expected a whole number from 1 to 1000000")
    #expect(
      refusal("timeouts:\n  idle: 30")
        == "martlet.yaml:2: timeouts.idle: got \"30\", expected a duration such as 200us, 5ms or 30s, from 0s to 168h")
    #expect(refusal("poller: kqueue") == "martlet.yaml:1: poller: got \"kqueue\", expected one of epoll, dispatch")
    #expect(
      refusal("admin:\n  allow_remote: yes")
        == "martlet.yaml:2: admin.allow_remote: got \"yes\", expected true or false")
    #expect(refusal("models:\n  directory:\n").hasPrefix("martlet.yaml:2: models.directory: got nothing, expected"))
    #expect(
      refusal("models:\n  directory: [a, b]\n").hasPrefix("martlet.yaml:2: models.directory: got a list, expected"))
    #expect(refusal("limits: 5") == "martlet.yaml:1: limits: got a single value, expected a map of keys")
    #expect(refusal("- a") == "martlet.yaml:1: got a list, expected a map of keys")
    #expect(refusal("listen: []").hasPrefix("martlet.yaml:1: listen: got \"\", expected 1 to 64 times"))
    #expect(
      refusal("listen:\n- {a: b}").hasPrefix("martlet.yaml:2: listen: got a map of keys in the list, expected"))
  }

  @Test("a bad value in the file is refused even when a flag would win over it")
  func shadowedBadValue() {
    let overrides = [ConfigurationOverride(path: "reactors", value: "2", flag: "--reactors")]
    #expect(refusal("reactors: -1", overrides: overrides).hasPrefix("martlet.yaml:1: reactors: got \"-1\""))
  }

  @Test("an unknown key is refused with its line and the nearest known one")
  func unknownKeys() {
    #expect(
      refusal("limits:\n  max_conections: 5")
        == "martlet.yaml:2: limits.max_conections: unknown key; did you mean limits.max_connections?")
    #expect(refusal("loging: {}") == "martlet.yaml:1: loging: unknown key; did you mean logging?")
    #expect(
      refusal("admin:\n  flavour: sweet")
        == "martlet.yaml:2: admin.flavour: unknown key; known keys are admin.address, admin.allow_remote")
    #expect(
      refusal(overrides: [ConfigurationOverride(path: "reactor", value: "1", flag: "--set")])
        == "flag --set: reactor: unknown key; did you mean reactors?")
  }

  @Test("a key that is given twice is refused")
  func duplicateKeys() {
    #expect(refusal("limits:\n  max_connections: 1\n  max_connections: 2").contains("given twice: \"max_connections\""))
  }

  @Test("bad and unknown variables are refused by their names; those of others are left alone")
  func environment() throws {
    #expect(
      refusal(environment: ["MARTLET_REACTORS": "many"])
        == "environment MARTLET_REACTORS: reactors: got \"many\", expected auto, or a whole number from 1 to 1024")
    #expect(
      refusal(environment: ["MARTLET_LIMITS_MAX_CONNECTION": "1"])
        == "environment MARTLET_LIMITS_MAX_CONNECTION: MARTLET_LIMITS_MAX_CONNECTION: unknown key; "
        + "did you mean MARTLET_LIMITS_MAX_CONNECTIONS?")
    let others = [
      "MARTLET_SERVER": "ttrpc://127.0.0.1:8001", "MARTLET_SERVICE_HOST": "10.0.0.1",
      "MARTLET_PORT": "tcp://10.0.0.1:1",
      "MARTLET_MODELS_SERVICE_HOST": "10.0.0.2", "MARTLET_MODELS_PORT_8001_TCP_ADDR": "10.0.0.2", "PATH": "/bin",
    ]
    #expect(try load(environment: others) == ServerConfiguration())
  }

  @Test("an admin address that others can reach needs the explicit key")
  func remoteAdmin() throws {
    let message = refusal("admin:\n  address: 0.0.0.0:8002\n")
    #expect(message.hasPrefix("martlet.yaml:2: admin.address: 0.0.0.0:8002 can be reached from other machines"))
    #expect(message.hasSuffix("set admin.allow_remote to true"))
    #expect(try load("admin: {address: 0.0.0.0:8002, allow_remote: true}").admin.address?.port == 8002)
    for loopback in ["127.0.0.1:1", "127.9.9.9:1", "\"[::1]:1\"", "localhost:1"] {
      #expect(refusal("admin: {address: \(loopback)}") == "accepted", "\(loopback)")
    }
    for remote in ["127.example.com:1", "10.0.0.1:1", "\"[::]:1\""] {
      #expect(refusal("admin: {address: \(remote)}").contains("other machines"), "\(remote)")
    }
  }

  @Test("keys that do not fit each other are refused, naming the one that was set")
  func together() {
    #expect(
      refusal("batching:\n  max_queue_rows: 100\n")
        == "martlet.yaml:2: batching.max_queue_rows: got 100, expected at least batching.max_rows, "
        + "which is 4096 (default)")
    #expect(
      refusal(environment: ["MARTLET_LIMITS_MESSAGE_MEMORY_BYTES": "1GiB"])
        == "environment MARTLET_LIMITS_MESSAGE_MEMORY_BYTES: limits.message_memory_bytes: got 1GiB, "
        + "expected at most limits.request_memory_bytes, which is 256MiB (default)")
    #expect(
      refusal("listen: [unix:/a, unix:/a]") == "martlet.yaml:1: listen: unix:/a is given twice")
  }

  @Test("a missing file, a broken file and one that is not text are each one clear error")
  func unreadableFiles() throws {
    let missing = "/nowhere/martlet.yaml"
    #expect(throws: ConfigurationError(.file(missing, line: 0), "no such file")) {
      try ServerConfiguration.load(file: missing, environment: [:], overrides: [])
    }
    #expect(refusal("limits: {").hasPrefix("martlet.yaml:2: not YAML: "))
    #expect(refusal("a: b: c").hasPrefix("martlet.yaml:1: not YAML: "))
    #expect(refusal("") == "accepted")
    #expect(refusal("# nothing\n") == "accepted")
    #expect(refusal("limits:\n") == "accepted")
  }

  @Test("control characters of a value are escaped in messages, and long values are cut")
  func escaping() {
    #expect(refusal(environment: ["MARTLET_POLLER": "a\nb\u{1B}[0m"]).contains("got \"a\\nb\\u{1B}[0m\", expected"))
    let message = refusal(environment: ["MARTLET_POLLER": String(repeating: "x", count: 5000)])
    #expect(message.utf8.count < 200)
  }

  @Test("the effective values are YAML that reads back as the same configuration")
  func effectiveReadsBack() throws {
    let configuration = try load(
      "listen: [\"tcp://[::1]:9\", unix:/run/with space/a]\nmodels: {directory: \"a: b #c\"}\n",
      environment: ["MARTLET_TIMEOUTS_IDLE": "90s"])
    let text = configuration.renderEffective()
    var again = try load(text)
    again.origins = configuration.origins
    #expect(again == configuration)
    #expect(text.contains("# environment MARTLET_TIMEOUTS_IDLE\n"))
    #expect(text.contains("# default\n"))
  }

  @Test("the annotated file reads back as the defaults")
  func annotatedReadsBack() throws {
    var configuration = try load(ServerConfiguration.renderAnnotatedDefaults())
    #expect(configuration.origins.count == ServerConfiguration.keys.count)
    configuration.origins = [:]
    #expect(configuration == ServerConfiguration())
  }

  @Test("the committed deployment/martlet.yaml is the annotated file")
  func committedFile() throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
    let file = root.appendingPathComponent("deployment/martlet.yaml")
    let expected = ServerConfiguration.renderAnnotatedDefaults()
    if ProcessInfo.processInfo.environment["UPDATE_GENERATED"] == "1" {
      try FileManager.default.createDirectory(
        at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try expected.write(to: file, atomically: true, encoding: .utf8)
    }
    let committed = try String(contentsOf: file, encoding: .utf8)
    #expect(committed == expected, "make it again with UPDATE_GENERATED=1 swift test --filter committedFile")
  }
}
