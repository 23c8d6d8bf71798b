import Glibc
import MartletBatching
import MartletCore
import MartletRPC
import MartletRepository
import MartletServices
import MartletSockets
import MartletWire

/// Streams to a whole server, a reactor with every service, over a socket: each call has one answer that can be read,
/// each connection ends, and good calls in between have their known answers.
package enum FuzzedServer {
  private static let server = Server()
  /// Connections between two looks at good calls.
  private static let block = 512
  // libFuzzer brings its inputs on one thread.
  private nonisolated(unsafe) static var known = KnownCalls(own: true, real: [])
  private nonisolated(unsafe) static var untilGood = 0
  private nonisolated(unsafe) static let check = AnswerCheck()

  /// The first byte says how the rest is sent: in pieces of what lengths, and whether the peer stays for the answers.
  package static func run(_ data: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    guard let data, count > 1 else { return -1 }
    if untilGood == 0 {
      untilGood = block
      let stream = known.stream
      let frames = server.exchange(stream, cuts: [stream.count], vanishes: false).frames
      if let wrong = known.judge(frames) { fatalError(wrong) }
    }
    untilGood -= 1
    let bytes = Array(UnsafeBufferPointer(start: data + 1, count: count - 1))
    let early = server.endedEarly
    let connection = server.exchange(bytes, cuts: cuts(bytes.count, data[0]), vanishes: data[0] == 255)
    let frames = connection.frames
    // A peer whose answers are more than the server keeps for it is dropped.
    if let expected = connection.expectedAnswers, frames.count != expected, server.endedEarly == early {
      fatalError("\(frames.count) answers to \(expected) calls")
    }
    for frame in frames {
      if case .wrong(let reason) = frame.withUnsafeBytes({ check.judge($0, method: nil, acceptsAnyResult: true) }) {
        fatalError(reason)
      }
    }
    return 0
  }

  private static func cuts(_ count: Int, _ style: UInt8) -> [Int] {
    guard style >= 128 else { return [count] }
    var random = RandomSource(seed: UInt64(style))
    var cuts: [Int] = []
    var left = count
    while left > 0 {
      let piece = cuts.count < 8 ? min(left, 1 + random.below(left)) : left
      cuts.append(piece)
      left -= piece
    }
    return cuts
  }

  /// A reactor on its own thread with all services and the models made here.
  private final class Server: Sendable {
    private let reactor: Reactor
    private let statistics = SocketStatistics(reactor: 0)

    init() {
      guard let scratch = try? ScratchRepository() else { fatalError("no directory for models can be made in /tmp") }
      let repository = ModelRepository(options: .init(directory: scratch.path), logger: FuzzModels.quiet)
      try? repository.reloadAndWait()
      let reactor = Reactor(index: 0, poller: .epoll, limits: SocketLimits(), statistics: statistics)
      let arena = MessageArena(capBytes: 8 << 20)
      let rpc = RPCServer(reactor: reactor, limits: RPCLimits(), arena: arena)
      let models = ReactorModels(limits: BatchLimits())
      models.serve(FuzzModels.catalogue(withOlder: true, real: []))
      let post: @Sendable (@escaping @Sendable () -> Void) -> Void = { work in _ = reactor.post(work) }
      let batcher = Batcher(
        options: .init(), scorer: DispatchScorer(threads: 1), budget: MemoryBudget(limitBytes: 64 << 20), post: post,
        wake: { reactor.schedule(at: $0, token: 0) })
      let state = ServerState(version: "fuzz", policy: .any, repository: repository)
      state.markStarted()
      let context = ServiceContext(
        responder: rpc, batcher: batcher, models: models, arena: arena, server: state, repository: repository,
        limits: .init(), post: post)
      let scoring = ScoringService(context, reactor: 0)
      let inference = OpenInferenceService(context)
      let health = HealthService(context, services: [scoring.name, inference.name])
      rpc.serve([inference, scoring, health], workers: [batcher])
      reactor.setHandler(rpc)
      reactor.start()
      self.reactor = reactor
    }

    /// Connections that were dropped for the memory of their answers.
    var endedEarly: UInt64 { statistics.closures(.slowReader) + statistics.closures(.memory) }

    /// One connection from its first byte until the server has let go of it; a hang is libFuzzer's to see.
    func exchange(_ bytes: [UInt8], cuts: [Int], vanishes: Bool) -> HostileConnection {
      var pair: [Int32] = [0, 0]
      let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
      guard socketpair(AF_UNIX, kind, 0, &pair) == 0 else { fatalError(String(cString: strerror(errno))) }
      reactor.adopt(
        pair[1], peer: PeerInfo(address: .unix(path: ""), listener: .unix(path: "/tmp/martlet-fuzz")))
      let connection = HostileConnection(
        .connected(pair[0]), number: 0, bytes: bytes, cuts: cuts, vanishes: vanishes)!
      while connection.isOpen {
        var polled = pollfd(fd: connection.descriptor, events: connection.events, revents: 0)
        if poll(&polled, 1, 100) > 0 { connection.step(polled.revents) }
      }
      while reactor.connectionCount > 0 { sched_yield() }
      return connection
    }
  }
}
