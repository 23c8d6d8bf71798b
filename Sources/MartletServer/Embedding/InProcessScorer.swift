import Logging
import MartletBatching
import MartletCore
import MartletRPC
import MartletRepository
import MartletServices
import MartletWire
import Synchronization

/// The scoring engine inside another program: no socket, the same services and so the same bits as over the wire.
///
/// Any number of threads may call at once; each call is answered on its own thread. Requests and answers are encoded
/// `martlet.v1` messages.
///
/// ```swift
/// let scorer = try InProcessScorer(models: "models")
/// let answer = try scorer.score(request: encodedScoreRequest)
/// ```
public final class InProcessScorer: Sendable {
  private let repository: ModelRepository
  private let state: ServerState
  private let idle = Mutex<(workers: [Worker], made: Int)>(([], 0))

  /// Loads every model of a repository. Models that cannot be loaded answer UNAVAILABLE with the reason.
  ///
  /// Throws FAILED_PRECONDITION when the directory cannot be read.
  public init(models: String, logger: Logger? = nil) throws(Status) {
    let quiet = logger ?? Logger(label: "martlet.embedded") { _ in SwiftLogNoOpLogHandler() }
    repository = ModelRepository(options: .init(directory: models), logger: quiet)
    state = ServerState(version: Version.text, policy: .any, repository: repository)
    try repository.reloadAndWait()
    state.markStarted()
  }

  /// `martlet.v1.Scoring.Score`. Throws what a server would answer.
  public func score(request: [UInt8]) throws(Status) -> [UInt8] { try call(method: 0, request) }

  /// `martlet.v1.Scoring.Describe`. Throws what a server would answer.
  public func describe(request: [UInt8]) throws(Status) -> [UInt8] { try call(method: 1, request) }

  /// Every version that the repository knows, with the reason of those that could not be loaded.
  public var states: [ModelRepository.State] { repository.states }

  private func call(method: Int, _ request: [UInt8]) throws(Status) -> [UInt8] {
    let (known, number) = idle.withLock { idle -> (Worker?, Int) in
      if let worker = idle.workers.popLast() { return (worker, 0) }
      idle.made += 1
      return (nil, idle.made)
    }
    let worker = known ?? Worker(number: number, state: state, repository: repository)
    defer { idle.withLock { $0.workers.append(worker) } }
    return try worker.call(method: method, request)
  }
}

/// One caller's services and memory; used by one thread at a time.
///
/// `@unchecked Sendable`: `InProcessScorer` lends a worker to one call at a time, under a lock.
private final class Worker: Responder, @unchecked Sendable {
  private let batcher: Batcher
  private let arena = MessageArena(capBytes: 256 << 20)
  private let models: ReactorModels
  private var service: ScoringService!
  private var answer: UnsafeMutableRawBufferPointer?
  private var outcome: Status?
  private var isFinished = false

  init(number: Int, state: ServerState, repository: ModelRepository) {
    let limits = BatchLimits(maximumQueuedRows: .max)
    batcher = Batcher(
      options: .init(inlineBudgetNanoseconds: .max), scorer: nil, budget: MemoryBudget(limitBytes: .max),
      post: { $0() }, wake: { _ in })
    models = ReactorModels(limits: limits)
    models.serve(repository.catalogue)
    let context = ServiceContext(
      responder: self, batcher: batcher, models: models, arena: arena, server: state, repository: repository,
      limits: .init(rowsPerCall: .max), post: { $0() })
    service = ScoringService(context, reactor: number & 0xffff)
  }

  deinit { answer?.deallocate() }

  func call(method: Int, _ request: [UInt8]) throws(Status) -> [UInt8] {
    arena.reset()
    answer?.deallocate()
    answer = nil
    outcome = nil
    isFinished = false
    let now = MonotonicTime.now()
    let head = CallHead(
      id: CallID(reactor: 0, connection: 0, generation: 0, stream: 1, entry: 0), method: method, received: now,
      deadline: .distantFuture, isLocal: true)
    let refusal = request.withUnsafeBytes { bytes -> Status? in
      do throws(Status) {
        try service.unary(head, bytes)
        return nil
      } catch {
        return error
      }
    }
    if let refusal { throw refusal }
    // A batch that waits for more rows has none to wait for here.
    var time = now
    while !isFinished {
      _ = batcher.roundEnded(now: time)
      time = .distantFuture
    }
    if let outcome { throw outcome }
    return answer.map { Array($0) } ?? []
  }

  func message(_ call: CallID, bytes: Int) -> UnsafeMutableRawPointer? {
    answer?.deallocate()
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, bytes), alignment: 16)
    answer = UnsafeMutableRawBufferPointer(rebasing: buffer[..<bytes])
    return buffer.baseAddress
  }

  func finish(_ call: CallID, now: MonotonicTime) { isFinished = true }

  func fail(_ call: CallID, _ status: Status) {
    outcome = status
    isFinished = true
  }
}
