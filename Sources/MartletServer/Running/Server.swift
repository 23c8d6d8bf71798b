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
  // `@unchecked Sendable`: what changes after `init` is set in `start`, before anybody else sees the server.

  /// Where the server can be reached.
  public private(set) var addresses: [SocketAddress] = []
  public private(set) var adminAddress: String?

  private let configuration: ServerConfiguration
  private let logger: Logger
  private let repository: ModelRepository
  private let state: ServerState
  private let stacks: [ReactorStack]
  private let limiter: ConnectionLimiter
  private var listeners: [Listener] = []
  private var admin: AdminServer?
  private let notifier = SystemdNotifier(environment: ProcessInfo.processInfo.environment)
  private let budget: MemoryBudget
  private let reloads = RepeatedWork()
  private let furtherMetrics: [any MetricSource]

  /// - Parameter metrics: what else the admin endpoint shows.
  public init(_ configuration: ServerConfiguration, logger: Logger, metrics: [any MetricSource] = []) {
    self.configuration = configuration
    self.logger = logger
    furtherMetrics = metrics
    budget = MemoryBudget(limitBytes: configuration.limits.requestMemoryBytes)
    repository = ModelRepository(
      options: .init(
        directory: configuration.models.directory, modelFileBytes: configuration.limits.modelFileBytes,
        pendingChanges: configuration.limits.modelChanges,
        planning: PlanningOptions(measuringNanoseconds: configuration.models.planningTime.wholeNanoseconds)),
      logger: logger)
    state = ServerState(
      version: Version.text,
      policy: configuration.models.readiness == .all ? .all : .any, repository: repository)

    // Reactors and scorers together never exceed the cores that may be used.
    let cores = UsableCores.count()
    let scorers = configuration.scorers ?? cores / 4
    let reactors = configuration.reactors ?? max(1, cores - scorers)
    let limits = configuration.limits
    let timeouts = configuration.timeouts
    var socketLimits = SocketLimits()
    socketLimits.maxConnections = limits.maxConnections
    socketLimits.maxConnectionsPerAddress = limits.maxConnectionsPerAddress
    socketLimits.readChunkBytes = configuration.rounds.connectionBytes
    socketLimits.maxReadBufferBytes = limits.frameBytes + max(128 << 10, 2 * configuration.rounds.connectionBytes)
    socketLimits.maxWriteBufferBytes = limits.writeBufferBytes
    socketLimits.writeHighWaterBytes = limits.writeHighWaterBytes
    socketLimits.maxBufferBytes = limits.bufferBytes
    socketLimits.mailboxCapacity = limits.mailboxEntries
    socketLimits.spin = configuration.spin
    socketLimits.lingerTimeout = timeouts.linger
    socketLimits.acceptBackoff = timeouts.acceptBackoff
    socketLimits.idleTimeout = timeouts.idle
    socketLimits.firstByteTimeout = timeouts.firstByte
    socketLimits.frameTimeout = timeouts.frame
    socketLimits.writeTimeout = timeouts.write
    let shared = ReactorStack.Shared(
      limits: RPCLimits(
        frameBytes: limits.frameBytes, callsPerConnection: limits.callsPerConnection,
        callsPerConnectionAndRound: configuration.rounds.connectionCalls,
        calls: max(1, limits.callsInFlight / reactors)),
      socketLimits: socketLimits,
      batchLimits: BatchLimits(
        maximumRows: configuration.batching.maxRows, maximumQueuedRows: configuration.batching.maxQueueRows),
      batching: .init(inlineBudgetNanoseconds: configuration.batching.inlineBudget.wholeNanoseconds),
      serviceLimits: .init(rowsPerCall: limits.rowsPerCall), messageMemoryBytes: limits.messageMemoryBytes,
      poller: configuration.poller == .epoll ? .epoll : .dispatch,
      scorer: scorers > 0 ? DispatchScorer(threads: scorers) : nil,
      budget: budget, state: state, repository: repository,
      refusedConnection: { peer, reason in
        logger.warning("connection refused", metadata: ["peer": "\(peer.address)", "reason": "\(reason)"])
      })
    limiter = ConnectionLimiter(limits: socketLimits)
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
  /// Throws UNAVAILABLE when an address cannot be listened on, FAILED_PRECONDITION when the repository cannot be
  /// read.
  public func start() async throws {
    for address in configuration.listen {
      listeners.append(try Listener(address: SocketAddress.parse(address.description)))
    }
    addresses = listeners.map(\.address)
    warnOfFewDescriptors()
    for stack in stacks {
      stack.reactor.start()
      if let failure = stack.reactor.startFailure { throw failure }
    }
    repository.publish(to: CataloguePublisher(stacks).publish)
    if let address = configuration.admin.address { try await startAdmin(address) }
    try repository.reloadAndWait()
    let logger = self.logger
    for (index, listener) in listeners.enumerated() {
      listener.start(
        on: stacks[index % stacks.count].reactor, reactors: stacks.map(\.reactor), limiter: limiter,
        refused: { reason, peer in
          logger.warning("connection refused", metadata: ["peer": "\(peer)", "reason": "\(reason.name)"])
        })
    }
    state.markStarted()
    notifier?.ready(status: "serving \(repository.catalogue.models.count) model versions")
    let readiness = state.readiness
    if !readiness.isReady { logger.warning("not ready", metadata: ["reason": "\(readiness.reason)"]) }
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
    adminAddress = "\(HostPort(host: address.host, port: port))"
    self.admin = admin
  }

  /// Reads the model repository again. However often it is called meanwhile, one reading more follows the one under way.
  public func reload() {
    let logger = self.logger
    let repository = self.repository
    let notifier = self.notifier
    reloads.ask { done in
      notifier?.reloading()
      repository.reload { _ in
        let models = repository.catalogue.models.count
        logger.info("models reloaded", metadata: ["versions": "\(models)"])
        notifier?.ready(status: "serving \(models) model versions")
        done()
      }
    }
  }

  /// Ends without losing a call: not ready any more, a grace for load balancers, the queued connections accepted and
  /// the listeners closed, calls in flight answered and later ones refused with UNAVAILABLE, until every peer has
  /// closed or the time for it is over.
  ///
  /// - Returns: connections that were still open when the time was over.
  public func drain() async -> Int {
    state.markDraining()
    notifier?.stopping(status: "answering what is in flight")
    let timeouts = configuration.timeouts
    if timeouts.grace > .zero { try? await Task.sleep(for: timeouts.grace) }
    for listener in listeners { listener.drainAndClose() }
    for stack in stacks { stack.drain() }
    let end = MonotonicTime.now().advanced(by: timeouts.drain)
    while connections > 0, MonotonicTime.now() < end { try? await Task.sleep(for: .milliseconds(5)) }
    let left = connections
    await stop()
    return left
  }

  private var connections: Int { stacks.reduce(0) { $0 + $1.reactor.connectionCount } }

  private func stop() async {
    for stack in stacks { stack.reactor.stop() }
    await admin?.stop()
  }
}
