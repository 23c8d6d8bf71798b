import Dispatch
import Foundation
import Glibc
import Logging
import MartletAdmin
import MartletBatching
import MartletCore
import MartletEngine
import MartletMonitoring
import MartletRPC
import MartletRepository
import MartletServices
import MartletSockets
import Synchronization

/// One version in the list of a repository.
public typealias ModelState = ModelRepository.State

/// A running server, made from a configuration: the one place that knows all rooms.
///
/// `start`, then `drain` when it is to end. Any thread; each once.
public final class Server: @unchecked Sendable {
  // `@unchecked Sendable`: variables are set in `start`, before anybody else sees the server; what changes after that is
  // locked.

  /// Where the server can be reached.
  public private(set) var addresses: [SocketAddress] = []
  public var adminAddress: String? { admin.withLock { $0?.address } }

  private let activated: ActivatedSockets
  let logger: Logger
  let repository: ModelRepository
  let state: ServerState
  let stacks: [ReactorStack]
  let limiter: ConnectionLimiter
  /// Reactors and scorers.
  public let scoringThreads: Int
  private(set) var listeners: [Listener] = []
  private let admin = Mutex<(server: AdminServer, address: String)?>(nil)
  private var handover: HandoverServer?
  let notifier = SystemdNotifier(environment: ProcessInfo.processInfo.environment)
  let settings: Mutex<ServerConfiguration>
  /// Of configuration and models.
  let reloads = RepeatedWork()
  private let budget: MemoryBudget
  private let furtherMetrics: [any MetricSource]
  private let phase = Mutex(Phase.starting)
  private var handedOver: @Sendable (Int32) -> Void = { _ in }

  private enum Phase {
    case starting
    case serving
    /// Told to end, or another process has taken over.
    case ending
  }

  var configuration: ServerConfiguration { settings.withLock { $0 } }

  /// - Parameters:
  ///   - activated: listening sockets from a service manager.
  ///   - metrics: what else the admin endpoint shows.
  public init(
    _ configuration: ServerConfiguration, activated: ActivatedSockets = .none, logger: Logger,
    metrics: [any MetricSource] = []
  ) {
    settings = Mutex(configuration)
    self.activated = activated
    self.logger = logger
    furtherMetrics = metrics
    budget = MemoryBudget(limitBytes: configuration.limits.requestMemoryBytes)
    repository = ModelRepository(options: .init(configuration), logger: logger)
    state = ServerState(version: Version.text, policy: configuration.models.policy, repository: repository)

    // Reactors and scorers together never exceed the cores that may be used.
    let cores = UsableCores.count()
    let scorers = configuration.scorers ?? cores / 4
    let reactors = configuration.reactors ?? max(1, cores - scorers)
    let limits = configuration.limits
    let shared = ReactorStack.Shared(
      limits: ReactorStack.Limits(configuration, reactors: reactors),
      batchLimits: BatchLimits(
        maximumRows: configuration.batching.maxRows, maximumQueuedRows: configuration.batching.maxQueueRows),
      batching: .init(
        inlineBudgetNanoseconds: configuration.batching.inlineBudget.wholeNanoseconds,
        priorityLevels: configuration.batching.priorityLevels,
        defaultPriority: configuration.batching.defaultPriority ?? (configuration.batching.priorityLevels + 1) / 2,
        adaptiveFloor: limits.adaptive ? limits.adaptiveFloor : nil, calls: max(1, limits.callsInFlight / reactors)),
      messageMemoryBytes: limits.messageMemoryBytes,
      poller: configuration.poller == .epoll ? .epoll : .dispatch,
      scorer: scorers > 0 ? DispatchScorer(threads: scorers) : nil,
      budget: budget, state: state, repository: repository,
      refusedConnection: { peer, reason in
        logger.warning("connection refused", metadata: ["peer": "\(peer.address)", "reason": "\(reason)"])
      })
    scoringThreads = reactors + scorers
    limiter = ConnectionLimiter(limits: shared.limits.sockets)
    stacks = (0..<reactors).map { ReactorStack(index: $0, shared) }
  }

  /// Loads the models and reports on each, without listening; for `--check`.
  ///
  /// - Returns: every version in the repository.
  /// Throws FAILED_PRECONDITION when the repository cannot be read.
  public func check() throws(Status) -> [ModelState] {
    try repository.reloadAndWait()
    return repository.states
  }

  /// Binds, loads the models and serves. Models that fail to load do not keep the others from being served.
  ///
  /// Where a server runs already at the path of `takeover`, this one serves from its sockets, and then that one ends;
  /// until then it serves on, whatever becomes of this one, which has to be ready by all that readiness asks for.
  ///
  /// - Parameter handedOver: told of the process that has taken over from this one, which is to `drain` then.
  ///
  /// Throws UNAVAILABLE when an address cannot be listened on or the server that runs does not hand over,
  /// FAILED_PRECONDITION when the repository cannot be read or a model keeps this one from taking over,
  /// INVALID_ARGUMENT when a socket from elsewhere cannot be listened on.
  public func start(handedOver: @escaping @Sendable (Int32) -> Void = { _ in }) async throws {
    self.handedOver = handedOver
    let configuration = self.configuration
    let predecessor = try configuration.takeover.flatMap { path throws(Status) in try Predecessor.find(at: path) }
    let plan = try ListenerPlan(handedOver: predecessor?.sockets ?? [], activated: activated.sockets)
    listeners = try plan.listeners(for: configuration.listen, isDefault: !configuration.isSet("listen"))
    predecessor?.forgetSockets()
    addresses = listeners.map(\.address)
    warnOfFewDescriptors()
    for stack in stacks {
      stack.reactor.start()
      if let failure = stack.reactor.startFailure { throw failure }
    }
    repository.publish(to: CataloguePublisher(stacks).publish)
    if let address = configuration.admin.address {
      do {
        try await startAdmin(address)
      } catch {
        // The server that runs has the port; it is asked for again below.
        guard predecessor != nil else { throw error }
      }
    }
    try repository.reloadAndWait()
    state.markStarted()
    let readiness = state.readiness
    if let predecessor, !readiness.isReady {
      throw Status(
        .failedPrecondition,
        "not taking over from process \(predecessor.process), which serves on: \(readiness.reason)")
    }
    accept()
    if let predecessor {
      if !predecessor.retire() {
        logger.warning(
          "the server to take over from has gone by itself", metadata: ["process": "\(predecessor.process)"])
      }
      if let address = configuration.admin.address, adminAddress == nil { await startAdminWhenFree(address) }
    }
    for listener in listeners { listener.own() }
    phase.withLock { $0 = .serving }
    if let path = configuration.takeover {
      do {
        let handover = try HandoverServer(path: path, owner: self, logger: logger)
        self.handover = handover
        handover.start()
      } catch {
        // Nobody else serves any more.
        guard predecessor != nil else { throw error }
        logger.error("no further server can take over", metadata: ["reason": "\(error.message)"])
      }
    }
    notifier?.ready(status: "serving \(repository.catalogue.models.count) model versions")
    if !readiness.isReady { logger.warning("not ready", metadata: ["reason": "\(readiness.reason)"]) }
  }

  private func accept() {
    let logger = self.logger
    for (index, listener) in listeners.enumerated() {
      listener.start(
        on: stacks[index % stacks.count].reactor, reactors: stacks.map(\.reactor), limiter: limiter,
        refused: { reason, peer in
          logger.warning("connection refused", metadata: ["peer": "\(peer)", "reason": "\(reason.name)"])
        })
    }
  }

  /// Waits a moment for the port that another process leaves, and goes on trying in the background after that.
  private func startAdminWhenFree(_ address: HostPort) async {
    for _ in 0..<100 {
      if (try? await startAdmin(address)) != nil { return }
      try? await Task.sleep(for: .milliseconds(20))
    }
    logger.error("the admin address is still in use; trying on", metadata: ["address": "\(address)"])
    Task { [self] in
      while phase.withLock({ $0 != .ending }) {
        try? await Task.sleep(for: .seconds(1))
        if (try? await startAdmin(address)) != nil {
          return logger.notice("admin endpoint listens", metadata: ["address": "\(address)"])
        }
      }
    }
  }

  /// Over the process's own limit callers wait unheard; over `limits.max_connections` they are told.
  private func warnOfFewDescriptors() {
    var limit = rlimit()
    let needed = configuration.limits.maxConnections + Self.furtherDescriptors
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0, limit.rlim_cur < needed else { return }
    logger.warning(
      "too few file descriptors for limits.max_connections; raise the limit (ulimit -n, LimitNOFILE) or lower the key",
      metadata: ["limit": "\(limit.rlim_cur)", "needed": "\(needed)"])
  }

  /// Descriptors beside those of connections: listeners, pollers, the admin endpoint, files being loaded.
  private static let furtherDescriptors = 128

  private func startAdmin(_ address: HostPort) async throws {
    var options = AdminServer.Options()
    options.host = address.host
    options.port = address.port
    options.allowRemote = configuration.admin.allowRemote
    let sources: [any MetricSource] =
      [ModelMetrics(repository: repository), ProcessMetrics(), BuildMetrics(version: Version.text), budget, reloads]
      + furtherMetrics + stacks.flatMap(\.sources)
    let state = self.state
    let admin = AdminServer(
      options: options,
      routes: [
        .metrics { PrometheusText.render(sources) }, .liveness { AdminProbe(true, "") },
        .readiness {
          let readiness = state.readiness
          return AdminProbe(readiness.isReady, readiness.reason)
        },
      ], logger: logger)
    let port = try await admin.start()
    self.admin.withLock { $0 = (admin, "\(HostPort(host: address.host, port: port))") }
  }

  /// Ends without losing a call: not ready any more, a grace for load balancers, the queued connections accepted and
  /// the listeners closed, calls in flight answered and later ones refused with UNAVAILABLE, until every peer has
  /// closed or the time for it is over. After a hand-over the sockets are the successor's, and there is no grace.
  ///
  /// - Returns: connections that were still open when the time was over.
  public func drain() async -> Int {
    state.markDraining()
    let isFirst = beginEnding()
    let timeouts = configuration.timeouts
    if isFirst {
      notifier?.stopping(status: "answering what is in flight")
      handover?.stop()
      if timeouts.grace > .zero { try? await Task.sleep(for: timeouts.grace) }
      for listener in listeners { listener.drainAndClose() }
      for stack in stacks { stack.drain() }
    }
    let end = MonotonicTime.now().advanced(by: timeouts.drain)
    while connections > 0, MonotonicTime.now() < end { try? await Task.sleep(for: .milliseconds(5)) }
    let left = connections
    for stack in stacks { stack.reactor.stop() }
    await stopAdmin()
    return left
  }

  /// Whether nobody has begun it before.
  private func beginEnding() -> Bool {
    phase.withLock { phase in
      defer { phase = .ending }
      return phase != .ending
    }
  }

  private var connections: Int { stacks.reduce(0) { $0 + $1.reactor.connectionCount } }

  private func stopAdmin() async {
    let running = admin.withLock { $0.take() }
    await running?.server.stop()
  }
}

extension Server: HandoverOwner {
  func offer() throws(Status) -> [InheritedSocket] {
    // Under the lock: from a drain's beginning on the listeners may be closed.
    let result = phase.withLock { phase -> Result<[InheritedSocket], Status> in
      guard phase == .serving else { return .failure(Status(.unavailable, "it is ending")) }
      do throws(Status) {
        var copies: [InheritedSocket] = []
        for listener in listeners { copies.append(try listener.copy()) }
        return .success(copies)
      } catch {
        return .failure(error)
      }
    }
    if case .failure = result { withdraw() }
    return try result.get()
  }

  func withdraw() {
    for listener in listeners { listener.own() }
  }

  func release(to process: Int32) {
    guard beginEnding() else { return }
    state.markDraining()
    for listener in listeners { listener.drainAndClose() }
    for stack in stacks { stack.drain() }
    let done = DispatchSemaphore(value: 0)
    Task {
      await stopAdmin()
      done.signal()
    }
    done.wait()
    // Before the successor is told, so that the service manager knows it when it says that it is ready.
    notifier?.handedOver(to: process)
    handedOver(process)
  }
}
