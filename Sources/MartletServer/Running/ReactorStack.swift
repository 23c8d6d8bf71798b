import MartletBatching
import MartletCore
import MartletRPC
import MartletRepository
import MartletServices
import MartletSockets
import MartletWire

/// Everything that one reactor runs, from its sockets to its services; each part touched by its thread only.
///
/// `@unchecked Sendable`: other threads use `reactor`'s thread-safe part, `post` and the statistics; the rest is
/// reached through `post` alone.
final class ReactorStack: @unchecked Sendable {
  let reactor: Reactor
  let models: ReactorModels
  let sources: [any MetricSource]
  private let rpc: RPCServer
  private let context: ServiceContext

  /// The bounds that may change while it runs.
  struct Limits {
    var rpc: RPCLimits
    var sockets: SocketLimits
    var services: ServiceContext.Limits

    init(_ configuration: ServerConfiguration, reactors: Int) {
      let limits = configuration.limits
      let timeouts = configuration.timeouts
      rpc = RPCLimits(
        frameBytes: limits.frameBytes, callsPerConnection: limits.callsPerConnection,
        callsPerConnectionAndRound: configuration.rounds.connectionCalls,
        calls: max(1, limits.callsInFlight / reactors))
      services = ServiceContext.Limits(rowsPerCall: limits.rowsPerCall)
      sockets = SocketLimits()
      sockets.maxConnections = limits.maxConnections
      sockets.maxConnectionsPerAddress = limits.maxConnectionsPerAddress
      sockets.readChunkBytes = configuration.rounds.connectionBytes
      sockets.maxReadBufferBytes = limits.frameBytes + max(128 << 10, 2 * configuration.rounds.connectionBytes)
      sockets.maxWriteBufferBytes = limits.writeBufferBytes
      sockets.writeHighWaterBytes = limits.writeHighWaterBytes
      sockets.maxBufferBytes = limits.bufferBytes
      sockets.mailboxCapacity = limits.mailboxEntries
      sockets.spin = configuration.spin
      sockets.lingerTimeout = timeouts.linger
      sockets.acceptBackoff = timeouts.acceptBackoff
      sockets.idleTimeout = timeouts.idle
      sockets.firstByteTimeout = timeouts.firstByte
      sockets.frameTimeout = timeouts.frame
      sockets.writeTimeout = timeouts.write
    }
  }

  struct Shared {
    var limits: Limits
    var batchLimits: BatchLimits
    var batching: Batcher.Options
    var messageMemoryBytes: Int
    var poller: PollerKind
    var scorer: (any BatchScorer)?
    var budget: MemoryBudget
    var state: ServerState
    var repository: ModelRepository
    var refusedConnection: @Sendable (PeerInfo, String) -> Void
  }

  init(index: Int, _ shared: Shared) {
    let socketStatistics = SocketStatistics(reactor: index)
    let reactor = Reactor(
      index: index, poller: shared.poller, limits: shared.limits.sockets, statistics: socketStatistics)
    let arena = MessageArena(capBytes: shared.messageMemoryBytes)
    let rpc = RPCServer(reactor: reactor, limits: shared.limits.rpc, arena: arena)
    let models = ReactorModels(limits: shared.batchLimits)
    let post: @Sendable (@escaping @Sendable () -> Void) -> Void = { work in _ = reactor.post(work) }
    let batcher = Batcher(
      options: shared.batching, scorer: shared.scorer, budget: shared.budget, post: post,
      wake: { time in reactor.schedule(at: time, token: 0) }, reactor: index)
    let context = ServiceContext(
      responder: rpc, batcher: batcher, models: models, arena: arena, server: shared.state,
      repository: shared.repository, limits: shared.limits.services, post: post)
    let scoring = ScoringService(context, reactor: index)
    let inference = OpenInferenceService(context)
    let health = HealthService(context, services: [scoring.name, inference.name])
    rpc.serve([inference, scoring, health], workers: [batcher])
    rpc.refusedConnection = { peer, reason in shared.refusedConnection(peer, reason) }
    reactor.setHandler(rpc)
    self.reactor = reactor
    self.rpc = rpc
    self.context = context
    self.models = models
    sources = [socketStatistics, rpc.statistics, batcher.statistics, models]
  }

  /// Serves a new catalogue from the next round on, and says when.
  func serve(_ catalogue: Catalogue, done: @escaping @Sendable () -> Void) {
    let isPosted = reactor.post {
      self.models.serve(catalogue)
      done()
    }
    if !isPosted { done() }
  }

  /// Keeps to other bounds from the next round on.
  func apply(_ limits: Limits) {
    _ = reactor.post {
      self.rpc.limits = limits.rpc
      self.context.limits = limits.services
      self.reactor.apply(limits.sockets)
    }
  }

  /// Refuses new calls from the next round on.
  func drain() {
    _ = reactor.post { self.rpc.drain() }
  }
}
