import CProtobufC
import CProtos
import Glibc
import MartletBatching
import MartletCore
import MartletRPC
import MartletRepository
import MartletServices
import MartletWire

/// The whole call path of one reactor without its sockets: bytes in, answers out, one connection after the other.
final class ServiceHost: Responder {
  struct Outcome {
    /// A whole request got past its frame's header.
    var isPastHeader = false
    /// A service was given a message.
    var reachedService = false
  }

  /// How often each status was answered, and each other end.
  private(set) var counts: [String: Int] = [:]
  /// The first wrong answers, for people.
  private(set) var faults: [String] = []
  /// Answers of the current connection when they are kept.
  private(set) var answers: [[UInt8]] = []
  var keepsAnswers = false

  private let arena = MessageArena(capBytes: 32 << 20)
  private let mailbox = Mailbox()
  private let batcher: Batcher
  private let models: ReactorModels
  private var services: [any Service] = []
  private var router = Router([])
  private var methodNames: [[String]] = []
  private let check = AnswerCheck()
  private let requestDescriptor: UnsafePointer<ProtobufCMessageDescriptor>

  private var connection = TTRPCServerConnection()
  private var generation: UInt32 = 0
  private var spoken: SniffedProtocol?
  private var nextEntry: UInt32 = 0
  private var calls: [CallID: String] = [:]
  private var open: UnsafeMutableRawBufferPointer?
  private var unread: [UInt8] = []

  init(repository: ModelRepository) {
    let mailbox = self.mailbox
    let post: @Sendable (@escaping @Sendable () -> Void) -> Void = { mailbox.post($0) }
    batcher = Batcher(
      options: .init(), scorer: DispatchScorer(threads: 1), budget: MemoryBudget(limitBytes: 64 << 20), post: post,
      wake: { _ in })
    models = ReactorModels(limits: BatchLimits())
    var message = Ttrpc__Request()
    ttrpc__request__init(&message)
    requestDescriptor = message.base.descriptor
    let state = ServerState(version: "fuzz", policy: .any, repository: repository)
    state.markStarted()
    let context = ServiceContext(
      responder: self, batcher: batcher, models: models, arena: arena, server: state, repository: repository,
      limits: .init(), post: post)
    let scoring = ScoringService(context, reactor: 0)
    let inference = OpenInferenceService(context)
    let health = HealthService(context, services: [scoring.name, inference.name])
    services = [inference, scoring, health]
    router = Router(services)
    methodNames = services.map { service in service.methods.map { service.name + "/" + $0.name } }
  }

  func serve(_ catalogue: Catalogue) { models.serve(catalogue) }

  // MARK: Connections

  /// One connection from its first byte to its end.
  ///
  /// - Parameters:
  ///   - cuts: lengths of the pieces in which the bytes come.
  ///   - vanishes: the peer is gone before the last round ends.
  ///   - roundEnds: whether the round ends after a piece.
  func connection(_ bytes: [UInt8], cuts: [Int], vanishes: Bool, roundEnds: () -> Bool) -> Outcome {
    var outcome = Outcome()
    connection = TTRPCServerConnection()
    spoken = nil
    generation &+= 1
    unread.removeAll(keepingCapacity: true)
    answers.removeAll()
    var start = 0
    for cut in cuts {
      unread.append(contentsOf: bytes[start..<(start + cut)])
      start += cut
      let (consumed, isAlive) = unread.withUnsafeBytes { received($0, &outcome) }
      guard isAlive else { break }
      unread.removeFirst(consumed)
      if roundEnds() { endRound() }
    }
    if vanishes {
      for call in calls.keys {
        for service in services { service.cancel(call) }
      }
      if !calls.isEmpty { count("vanished with calls waiting") }
      calls.removeAll(keepingCapacity: true)
    }
    settle()
    if unread.capacity > 1 << 20 { unread = [] }
    return outcome
  }

  private func endRound() {
    _ = batcher.roundEnded(now: .now())
    _ = mailbox.drain()
  }

  /// Runs until every call is answered; a watchdog ends what never is.
  private func settle() {
    while !calls.isEmpty || !batcher.isIdle {
      // Nothing more comes, so no batch has a reason to wait.
      let isWorkLeft = batcher.roundEnded(now: .distantFuture)
      let cameBack = mailbox.drain()
      if !isWorkLeft, !cameBack { sched_yield() }
    }
  }

  private func received(_ bytes: UnsafeRawBufferPointer, _ outcome: inout Outcome) -> (consumed: Int, isAlive: Bool) {
    if spoken == nil {
      guard let known = Sniffer.sniff(bytes) else { return (0, true) }
      spoken = known
      guard known == .ttrpc else {
        count("closed: \(known.name)")
        return (bytes.count, false)
      }
    }
    var consumed = 0
    while true {
      let (event, taken) = connection.next(UnsafeRawBufferPointer(rebasing: bytes[consumed...]))
      consumed += taken
      switch event {
      case .needMore(let wanted):
        if wanted <= bytes.count - consumed { fault("needMore(\(wanted)) with \(bytes.count - consumed) bytes there") }
        return (consumed, true)
      case .skipped: count("frames skipped")
      case .request(let stream, let dataBytes):
        outcome.isPastHeader = true
        begin(stream, UnsafeRawBufferPointer(rebasing: bytes[(consumed - dataBytes)..<consumed]), &outcome)
      case .refused(let stream, let status):
        answer(TTRPCResponse.failure(stream: stream, status), nil)
      case .broken:
        count("closed: not ttrpc")
        return (bytes.count, false)
      }
    }
  }

  // MARK: Calls

  private func begin(_ stream: UInt32, _ data: UnsafeRawBufferPointer, _ outcome: inout Outcome) {
    arena.reset()
    func refuse(_ code: StatusCode, _ message: String) {
      answer(TTRPCResponse.failure(stream: stream, Status(code, message)), nil)
    }
    switch MessageGuard.check(data, requestDescriptor) {
    case .fine: break
    case .invalidText(let field): return refuse(.invalidArgument, "ttrpc.Request.\(field): not text")
    case .tooDeep: return refuse(.invalidArgument, "ttrpc.Request: nested too deeply")
    case .malformed: return refuse(.invalidArgument, "ttrpc.Request: malformed")
    }
    guard let request = arena.unpack(data, ttrpc__request__unpack) else {
      return arena.exhausted
        ? refuse(.resourceExhausted, "ttrpc.Request: needs more memory than one message may take")
        : refuse(.invalidArgument, "ttrpc.Request: malformed")
    }
    let service = UnsafeRawBufferPointer(start: request.pointee.service, count: strlen(request.pointee.service))
    let method = UnsafeRawBufferPointer(start: request.pointee.method, count: strlen(request.pointee.method))
    guard let route = router.route(service: service, method: method) else {
      return refuse(.unimplemented, router.knows(service: service) ? "method" : "service")
    }
    guard request.pointee.timeout_nano >= 0 else { return refuse(.deadlineExceeded, "timeout_nano") }
    let now = MonotonicTime.now()
    let timeout = UInt64(request.pointee.timeout_nano)
    nextEntry &+= 1
    let id = CallID(reactor: 0, connection: 0, generation: generation, stream: stream, entry: nextEntry)
    calls[id] = methodNames[route.service][route.method]
    outcome.reachedService = true
    let head = CallHead(
      id: id, method: route.method, received: now,
      deadline: timeout > 0 ? now.advanced(byNanoseconds: timeout) : .distantFuture, isLocal: nextEntry % 4 != 0)
    let payload = UnsafeRawBufferPointer(start: request.pointee.payload.data, count: request.pointee.payload.len)
    do throws(Status) {
      try services[route.service].unary(head, payload)
    } catch {
      fail(id, error)
    }
  }

  // MARK: Responder

  func message(_ call: CallID, bytes: Int) -> UnsafeMutableRawPointer? {
    guard calls[call] != nil else { return nil }
    if open != nil { fault("a second message for a unary call") }
    let head = TTRPCResponse.headBytes(payloadBytes: bytes)
    let frame = UnsafeMutableRawBufferPointer.allocate(byteCount: head + bytes, alignment: 16)
    // A byte that is never written makes an answer that cannot be read.
    frame.initializeMemory(as: UInt8.self, repeating: 0xee)
    TTRPCResponse.writeHead(to: frame.baseAddress!, stream: call.stream, payloadBytes: bytes)
    open = frame
    return frame.baseAddress! + head
  }

  func finish(_ call: CallID, now: MonotonicTime) {
    guard let method = calls.removeValue(forKey: call) else { return fault("a call was answered twice") }
    guard let frame = open else { return fault("\(method) ended well without a message") }
    open = nil
    if frame.count <= TTRPCFrame.headerBytes + TTRPCFrame.maximumDataBytes {
      judge(UnsafeRawBufferPointer(frame), method)
    } else {
      count("answers longer than a frame")
    }
    frame.deallocate()
  }

  func fail(_ call: CallID, _ status: Status) {
    guard let method = calls.removeValue(forKey: call) else { return }
    answer(TTRPCResponse.failure(stream: call.stream, status), method)
  }

  private func answer(_ frame: [UInt8], _ method: String?) { frame.withUnsafeBytes { judge($0, method) } }

  private func judge(_ frame: UnsafeRawBufferPointer, _ method: String?) {
    if keepsAnswers { answers.append(Array(frame)) }
    switch check.judge(frame, method: method) {
    case .fine(let code): count(code.name)
    case .wrong(let reason): fault(reason)
    }
  }

  private func count(_ outcome: String) { counts[outcome, default: 0] += 1 }

  private func fault(_ reason: String) {
    count("wrong answers")
    if faults.count < 20 { faults.append(reason) }
  }
}
