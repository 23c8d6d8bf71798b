import MartletBatching
import MartletCore
import MartletRPC
import MartletRepository
@_spi(Comparison) import MartletServices
import MartletWire

/// The services of one reactor without sockets or other threads: a payload in, what is said to it out.
final class MessageBench: Responder {
  enum Method {
    case infer
    case score
  }

  /// Names this process in what Score answers, so it is one for all.
  private static let shared = {
    let repository = ModelRepository(options: .init(directory: "/nonexistent"), logger: FuzzModels.quiet)
    return (repository: repository, state: ServerState(version: "fuzz", policy: .any, repository: repository))
  }()
  private static let catalogue = FuzzModels.catalogue(withOlder: true, real: [])

  private let arena = MessageArena(capBytes: 8 << 20)
  private let batcher = Batcher(
    options: .init(), scorer: nil, budget: MemoryBudget(limitBytes: 64 << 20), post: { $0() }, wake: { _ in })
  private var services: (inference: OpenInferenceService, scoring: ScoringService)!
  private var methods = (infer: 0, score: 0)
  private var answer: UnsafeMutableRawBufferPointer?
  private var ended: String?

  init(readsPlain: Bool) {
    let models = ReactorModels(limits: BatchLimits())
    models.serve(Self.catalogue)
    let context = ServiceContext(
      responder: self, batcher: batcher, models: models, arena: arena, server: Self.shared.state,
      repository: Self.shared.repository, limits: .init(rowsPerCall: 1_000), post: { $0() })
    let inference = OpenInferenceService(context)
    let scoring = ScoringService(context, reactor: 0)
    inference.readsPlainRequests = readsPlain
    scoring.readsPlainRequests = readsPlain
    services = (inference, scoring)
    methods.infer = inference.methods.firstIndex { $0.name == "ModelInfer" }!
    methods.score = scoring.methods.firstIndex { $0.name == "Score" }!
  }

  /// The bytes of the answer, or the status, as text.
  func outcome(_ method: Method, _ payload: UnsafeRawBufferPointer) -> String {
    arena.reset()
    ended = nil
    let service: any Service = method == .infer ? services.inference : services.scoring
    let call = CallHead(
      id: CallID(reactor: 0, connection: 0, generation: 0, stream: 1, entry: 0),
      method: method == .infer ? methods.infer : methods.score, received: .now(), deadline: .distantFuture,
      isLocal: true)
    do throws(Status) {
      try service.unary(call, payload)
    } catch {
      fail(call.id, error)
    }
    // No batch has a reason to wait: nothing more comes.
    while ended == nil { _ = batcher.roundEnded(now: .distantFuture) }
    return ended!
  }

  func message(_ call: CallID, bytes: Int) -> UnsafeMutableRawPointer? {
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: max(bytes, 1), alignment: 16)
    // A byte that is never written is not equal to anything that is right.
    room.initializeMemory(as: UInt8.self, repeating: 0xee)
    answer = UnsafeMutableRawBufferPointer(rebasing: room[..<bytes])
    return room.baseAddress
  }

  func finish(_ call: CallID, now: MonotonicTime) {
    guard ended == nil, let answer else { fatalError("a call ended twice, or well without an answer") }
    ended = "\(Array(answer))"
    answer.baseAddress?.deallocate()
    self.answer = nil
  }

  func fail(_ call: CallID, _ status: Status) {
    guard ended == nil else { fatalError("a call ended twice") }
    guard !status.message.isEmpty, MessageGuard.isText(Array(status.message.utf8)) else {
      fatalError("\(status.code.name) with the message '\(status.message)'")
    }
    ended = "\(status.code.name): \(status.message)"
  }
}

extension MessageGuard {
  fileprivate static func isText(_ bytes: [UInt8]) -> Bool { bytes.withUnsafeBytes { isText($0) } }
}
