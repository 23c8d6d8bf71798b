import ArgumentParser
import Foundation
import Logging
import MartletCore
import MartletServer

struct Serve: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Serves the models of a directory until it is told to end.",
    discussion: """
      Prints one line when it is ready, with the addresses it listens on. SIGTERM and SIGINT drain: readiness goes
      first, calls in flight are answered, later ones refused with UNAVAILABLE; a second signal ends at once. SIGHUP
      reads the configuration and the models again.

      With --takeover a server that is started anew takes the listening sockets of the one that runs, loads its models
      and serves; only then the old one drains. SIGUSR2 starts the new one, by the same command line. Sockets from
      systemd (LISTEN_FDS) are used for the addresses that they are bound to, or for all when no --listen is given.

      EXAMPLES:
        martlet serve --models models
        martlet serve --models models --listen tcp://127.0.0.1:9001 --listen unix:/run/martlet.sock
        martlet serve --models models --takeover /run/martlet/takeover
        martlet serve --config deployment/martlet.yaml --check

      EXIT CODES:
        0  ended after a drain or a hand-over, or --check found every model good
        1  a model did not load (--check), or a second signal
        2  the command line or the configuration is wrong
        5  the server could not start: an address is taken, the models cannot be read, a model keeps it from taking over
      """)

  @Option(name: .long, help: ArgumentHelp("Directory of NAME/VERSION/model.onnx folders.", valueName: "directory"))
  var models: String?

  @Option(
    name: .long,
    help: ArgumentHelp("Address for calls: tcp://HOST:PORT or unix:PATH; may be repeated.", valueName: "address"))
  var listen: [String] = []

  @Option(
    name: .long, help: ArgumentHelp("HOST:PORT of /metrics, /livez and /readyz; off for none.", valueName: "address"))
  var admin: String?

  @Option(
    name: .long,
    help: ArgumentHelp("Socket's path to take over from a running server, and to hand over later.", valueName: "path"))
  var takeover: String?

  @Flag(name: .long, help: "Let the admin address be reachable from other machines.")
  var adminAllowRemote = false

  @Option(name: .long, help: ArgumentHelp("Configuration file (YAML).", valueName: "file"))
  var config: String?

  @Option(name: .long, help: ArgumentHelp("epoll or dispatch.", valueName: "poller"))
  var poller: String?

  @Option(
    name: .long,
    help: ArgumentHelp(
      "How long a reactor looks for the next call before it sleeps, 50us for example; off by default.",
      valueName: "duration"))
  var spin: String?

  @Option(
    name: .long, help: ArgumentHelp("Threads that own connections; auto for the usable cores.", valueName: "count"))
  var reactors: String?

  @Option(
    name: .long, help: ArgumentHelp("Threads for long batches; auto for a quarter of the cores.", valueName: "count"))
  var scorers: String?

  @Option(
    name: .long,
    help: ArgumentHelp(
      "Any key of the configuration, --set limits.max_connections=100 for example.", valueName: "key=value"))
  var set: [String] = []

  @Flag(name: .long, help: "Load every model, report and exit.")
  var check = false

  @Flag(name: .long, help: "Show the settings in effect and where each came from, and exit.")
  var printConfig = false

  func run() async throws {
    let environment = ProcessInfo.processInfo.environment
    let source = ConfigurationSource(file: config, environment: environment, overrides: try overrides())
    let configuration: ServerConfiguration
    do {
      configuration = try source.load()
    } catch {
      throw Failure(.usage, "\(error)")
    }
    if printConfig {
      print(configuration.renderEffective(), terminator: "")
      return
    }
    let activated: ActivatedSockets
    do {
      activated = try ActivatedSockets.take(environment: environment)
    } catch {
      throw Failure(.failed, error.message)
    }
    let logging = ServerLogging(configuration.logging)
    logging.bootstrap()
    defer { logging.flush() }
    let logger = logging.logger(label: "martlet")
    let server = Server(configuration, activated: activated, logger: logger, metrics: [logging.metrics])
    if check { return try report(server) }
    let reloader = Reloader(server, source: source) { logging.apply($0.logging) }
    try await serve(server, reloader, logger, logging, canHandOver: configuration.takeover != nil)
  }

  private func overrides() throws -> [ConfigurationOverride] {
    var overrides: [ConfigurationOverride] = []
    func add(_ path: String, _ value: String?, _ flag: String) {
      if let value { overrides.append(ConfigurationOverride(path: path, value: value, flag: flag)) }
    }
    for address in listen { add("listen", address, "--listen") }
    add("models.directory", models, "--models")
    add("admin.address", admin, "--admin")
    if adminAllowRemote { add("admin.allow_remote", "true", "--admin-allow-remote") }
    add("takeover", takeover, "--takeover")
    add("poller", poller, "--poller")
    add("spin", spin, "--spin")
    add("reactors", reactors, "--reactors")
    add("scorers", scorers, "--scorers")
    for setting in set {
      guard let equals = setting.firstIndex(of: "=") else {
        throw ValidationError("--set \(setting): KEY=VALUE is expected")
      }
      add(String(setting[..<equals]), String(setting[setting.index(after: equals)...]), "--set")
    }
    return overrides
  }

  private func report(_ server: Server) throws {
    let states: [ModelState]
    do { states = try server.check() } catch { throw Failure(.failed, "\(error)") }
    for state in states {
      let version = state.version.isEmpty ? "" : " version \(state.version)"
      print("\(state.name)\(version): \(state.state)\(state.reason.isEmpty ? "" : " (\(state.reason))")")
    }
    let bad = states.filter { $0.state != "READY" || !$0.reason.isEmpty }
    guard bad.isEmpty, !states.isEmpty else {
      throw Failure(
        .negative,
        states.isEmpty ? "the repository holds no model" : "\(bad.count) of \(states.count) versions did not load")
    }
  }

  private enum Event: Sendable {
    case started
    case failed(String)
    case signal(Int32)
    case handedOver
    case drained(connectionsLeft: Int)
  }

  private func serve(
    _ server: Server, _ reloader: Reloader, _ logger: Logger, _ logging: ServerLogging, canHandOver: Bool
  ) async throws {
    let (events, continuation) = AsyncStream.makeStream(of: Event.self)
    let watcher = SignalWatcher()
    for number in [SIGTERM, SIGINT, SIGHUP, SIGUSR2] { watcher.on(number) { continuation.yield(.signal(number)) } }
    let trimmer = MemoryTrimmer(scoringThreads: server.scoringThreads)
    Task {
      do {
        try await server.start(handedOver: { _ in continuation.yield(.handedOver) })
        continuation.yield(.started)
      } catch {
        continuation.yield(.failed((error as? Status)?.message ?? "\(error)"))
      }
    }
    let successor = Successor()
    var isStarted = false
    var isDraining = false
    // A drain that nobody has asked for: whoever ends the service does not mean to cut it short.
    var isUnasked = false
    for await event in events {
      switch event {
      case .started:
        isStarted = true
        announce(server)
      case .failed(let reason): throw Failure(.failed, reason)
      case .signal(SIGHUP): if isStarted, !isDraining { reloader.request() }
      case .signal(SIGUSR2):
        if !canHandOver {
          logger.error("SIGUSR2: a new process could not take over; start the server with --takeover")
        } else if isStarted, !isDraining {
          successor.start(logger: logger)
        }
      case .handedOver:
        isDraining = true
        isUnasked = true
        Task { continuation.yield(.drained(connectionsLeft: await server.drain())) }
      case .signal where isUnasked: isUnasked = false
      case .signal(let number):
        guard isStarted, !isDraining else {
          logger.warning("ending at once", metadata: ["signal": "\(number)", "draining": "\(isDraining)"])
          logging.flush()
          _exit(isDraining ? 1 : 0)
        }
        isDraining = true
        logger.notice("draining", metadata: ["signal": "\(number)"])
        Task { continuation.yield(.drained(connectionsLeft: await server.drain())) }
      case .drained(let left):
        logger.notice("drained", metadata: ["connections_left": "\(left)"])
        continuation.finish()
      }
    }
    withExtendedLifetime((watcher, trimmer)) {}
  }

  private func announce(_ server: Server) {
    let listening = server.addresses.map(\.description).joined(separator: " ")
    let admin = server.adminAddress.map { " admin http://\($0)" } ?? ""
    print("martlet \(Version.text) ready: \(listening)\(admin)")
    fflush(nil)
  }
}
