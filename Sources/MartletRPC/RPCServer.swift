import CProtobufC
import CProtos
import MartletCore
import MartletSockets
import MartletWire

/// One reactor's side of all its calls: bytes become calls of services, answers become bytes. The one place where a
/// status becomes what a protocol shows.
///
/// Confined to its reactor's thread.
public final class RPCServer: ReactorHandler, Responder {
  private struct Connection {
    var generation: UInt32 = 0
    var isLocal = false
    /// The peer has sent its last byte: the connection ends with its last answer.
    var isHalfClosed = false
    var spoken: SniffedProtocol?
    var ttrpc = TTRPCServerConnection()
    var callsInFlight = 0
    /// The route of the last call: callers mostly stay with a method.
    var route = -1
    var callsInRound = 0
    var round: UInt64 = 0
  }

  /// One read in this many has its decoding timed: two looks at the clock each time would be seen.
  private static let sampledReads = 16

  /// A connection that was refused and why; called on the reactor's thread.
  public var refusedConnection: (PeerInfo, String) -> Void = { _, _ in }
  public private(set) var statistics: RPCStatistics
  /// As in `statistics`.
  private var succeeded: UnsafeMutablePointer<Unmanaged<BucketHistogram>>

  private let reactor: Reactor
  private let reactorIndex: UInt16
  /// May change between rounds; the length of frames holds for later connections.
  public var limits: RPCLimits
  private let arena: MessageArena
  /// How long what a large message took is kept for the next one.
  private static let arenaNanoseconds: UInt64 = 1_000_000_000
  /// When the arena is looked at again.
  private var arenaLook = MonotonicTime.distantFuture
  private var services: [any Service] = []
  private var router = Router([])
  private var workers: [any RoundWorker] = []
  /// For each service its caller, kept by `callers`.
  private var called: UnsafeMutablePointer<Unmanaged<ServiceCaller>> = .allocate(capacity: 1)
  private var callers: [ServiceCaller] = []
  /// By slot, in memory of its own: every call looks at its connection several times.
  private var connections: UnsafeMutablePointer<Connection>
  private var connectionCount = 64
  /// By slot; apart, since only refusals need them.
  private var peers: [PeerInfo?]
  private var calls = CallTable()
  private var reads = 0
  private var round: UInt64 = 1
  private var isDraining = false
  private let requestDescriptor: UnsafePointer<ProtobufCMessageDescriptor>

  /// - Parameter arena: where the envelopes of calls are unpacked; services unpack their messages there as well.
  public init(reactor: Reactor, limits: RPCLimits, arena: MessageArena) {
    self.reactor = reactor
    reactorIndex = UInt16(truncatingIfNeeded: reactor.index)
    self.limits = limits
    self.arena = arena
    let statistics = RPCStatistics([])
    self.statistics = statistics
    succeeded = statistics.succeeded
    connections = .allocate(capacity: connectionCount)
    connections.initialize(repeating: Connection(), count: connectionCount)
    peers = Array(repeating: nil, count: connectionCount)
    var message = Ttrpc__Request()
    ttrpc__request__init(&message)
    requestDescriptor = message.base.descriptor
  }

  deinit {
    connections.deallocate()
    called.deallocate()
  }

  /// Sets what is served; once, before the reactor starts.
  public func serve(_ services: [any Service], workers: [any RoundWorker]) {
    self.services = services
    self.workers = workers
    router = Router(services)
    statistics = RPCStatistics(services)
    succeeded = statistics.succeeded
    callers = services.map { ServiceCaller.make($0) }
    called.deallocate()
    called = .allocate(capacity: max(1, callers.count))
    for (index, caller) in callers.enumerated() { (called + index).initialize(to: .passUnretained(caller)) }
  }

  /// From here on every new call is refused with UNAVAILABLE; those in flight are answered.
  public func drain() { isDraining = true }

  /// Calls that have not been answered.
  public var callsInFlight: Int { calls.count }

  // MARK: Connections

  public func opened(_ handle: ConnectionHandle, peer: PeerInfo) {
    let slot = Int(handle.slot)
    if slot >= connectionCount { makeRoom(forSlot: slot) }
    var connection = Connection()
    connection.generation = handle.generation
    connection.isLocal = peer.isLocal
    connection.ttrpc = TTRPCServerConnection(maximumDataBytes: limits.frameBytes)
    connections[slot] = connection
    peers[slot] = peer
  }

  private func makeRoom(forSlot slot: Int) {
    let count = max(slot + 1, 2 * connectionCount)
    let larger = UnsafeMutablePointer<Connection>.allocate(capacity: count)
    larger.moveInitialize(from: connections, count: connectionCount)
    (larger + connectionCount).initialize(repeating: Connection(), count: count - connectionCount)
    connections.deallocate()
    connections = larger
    peers += Array(repeating: nil, count: count - connectionCount)
    connectionCount = count
  }

  public func closed(_ handle: ConnectionHandle, reason: CloseReason) {
    let slot = Int(handle.slot)
    guard slot < connectionCount, connections[slot].generation == handle.generation else { return }
    if connections[slot].callsInFlight > 0 {
      let open = calls.calls(connection: handle.slot, generation: handle.generation)
      for (index, service) in services.enumerated() {
        let its = open.lazy.filter { Int($0.service) == index }.map(\.id)
        if !its.isEmpty { service.disconnected(Array(its)) }
      }
      for call in open { end(call.id, .cancelled, .now()) }
    }
    peers[slot] = nil
  }

  public func peerFinished(_ handle: ConnectionHandle) {
    let slot = Int(handle.slot)
    connections[slot].isHalfClosed = true
    if connections[slot].callsInFlight == 0 { reactor.close(handle, reason: .peerClosed, afterFlush: true) }
  }

  public func mayCloseIdle(_ handle: ConnectionHandle) -> Bool { connections[Int(handle.slot)].callsInFlight == 0 }

  public func timerFired(token: UInt64, now: MonotonicTime) {}

  public func roundEnded(now: MonotonicTime) -> Bool {
    round &+= 1
    var isWorkLeft = false
    for worker in workers where worker.roundEnded(now: now) { isWorkLeft = true }
    // A large message must not be held until somebody calls again.
    arena.reset()
    if arena.keepsSpare { lookAtArena(now) }
    return isWorkLeft
  }

  private func lookAtArena(_ now: MonotonicTime) {
    let isFirst = arenaLook == .distantFuture
    guard isFirst || now >= arenaLook else { return }
    if !isFirst { arena.dropUnneeded() }
    arenaLook = arena.keepsSpare ? now.advanced(byNanoseconds: Self.arenaNanoseconds) : .distantFuture
    // Nothing is to be done then but to end a round.
    reactor.schedule(at: arenaLook, token: 0)
  }

  // MARK: Bytes in

  public func received(_ handle: ConnectionHandle, bytes: UnsafeRawBufferPointer) -> Int {
    let connection = connections + Int(handle.slot)
    if connection.pointee.spoken == nil {
      guard let spoken = Sniffer.sniff(bytes) else { return 0 }
      connection.pointee.spoken = spoken
      guard spoken == .ttrpc else {
        refuse(handle, "\(spoken.name): only ttrpc is served here")
        return bytes.count
      }
    }
    if connection.pointee.round != round {
      connection.pointee.round = round
      connection.pointee.callsInRound = 0
    }
    // The first of all is sampled, so that a server with few calls has a figure as well.
    let isSampled = reads == 0
    reads = isSampled ? Self.sampledReads : reads - 1
    guard isSampled else { return decode(handle, connection, bytes) }
    let began = MonotonicTime.now()
    let consumed = decode(handle, connection, bytes)
    statistics.decode.observe(MonotonicTime.now().nanoseconds(since: began))
    return consumed
  }

  private func decode(
    _ handle: ConnectionHandle, _ connection: UnsafeMutablePointer<Connection>, _ bytes: UnsafeRawBufferPointer
  ) -> Int {
    guard let start = bytes.baseAddress else { return 0 }
    var consumed = 0
    let endings = reactor.endings
    repeat {
      // Most reads end with a whole frame.
      if consumed == bytes.count { return consumed }
      guard connection.pointee.callsInRound < limits.callsPerConnectionAndRound else {
        reactor.resumeParsing(handle)
        return consumed
      }
      let rest = UnsafeRawBufferPointer(start: start + consumed, count: bytes.count - consumed)
      if let (stream, dataBytes) = connection.pointee.ttrpc.nextRequest(rest) {
        consumed += TTRPCFrame.headerBytes + dataBytes
        connection.pointee.callsInRound += 1
        begin(
          handle, connection, stream,
          UnsafeRawBufferPointer(start: rest.baseAddress.unsafelyUnwrapped + TTRPCFrame.headerBytes, count: dataBytes))
      } else {
        guard let more = decodeUnusual(handle, connection, rest) else { return consumed }
        consumed += more
      }
    } while reactor.endings == endings || reactor.isAlive(handle)
    return bytes.count
  }

  /// What is not a whole request: nothing yet, or something to be refused or passed over.
  ///
  /// - Returns: how many bytes that took; nil when more have to come.
  private func decodeUnusual(
    _ handle: ConnectionHandle, _ connection: UnsafeMutablePointer<Connection>, _ bytes: UnsafeRawBufferPointer
  ) -> Int? {
    let (event, consumed) = connection.pointee.ttrpc.next(bytes)
    switch event {
    case .needMore: return nil
    case .skipped: break
    case .request(let stream, let dataBytes):
      connection.pointee.callsInRound += 1
      begin(handle, connection, stream, UnsafeRawBufferPointer(rebasing: bytes[(consumed - dataBytes)..<consumed]))
    case .refused(let stream, let status):
      connection.pointee.callsInRound += 1
      if status.code == .resourceExhausted { statistics.refusedFrame.add() }
      statistics.recordUnknown(code: status.code, nanoseconds: 0)
      write(handle, TTRPCResponse.failure(stream: stream, status))
    case .broken(let reason): refuse(handle, reason)
    }
    return consumed
  }

  private func refuse(_ handle: ConnectionHandle, _ reason: String) {
    if let peer = peers[Int(handle.slot)] { refusedConnection(peer, reason) }
    reactor.close(handle, reason: .protocolError, afterFlush: true)
  }

  // MARK: Calls

  @inline(__always)
  private func begin(
    _ handle: ConnectionHandle, _ connection: UnsafeMutablePointer<Connection>, _ stream: UInt32,
    _ data: UnsafeRawBufferPointer
  ) {
    arena.reset()
    if let (route, bytes) = router.route(ofRequest: data, guess: connection.pointee.route) {
      let rest = UnsafeRawBufferPointer(
        start: data.baseAddress.unsafelyUnwrapped + bytes, count: data.count - bytes)
      if let payload = TTRPCRequest.onlyPayload(behindNames: rest) {
        return begin(handle, connection, stream, route, timeout: 0, payload)
      }
      if let plain = TTRPCRequest(plainBehindNames: rest) {
        return begin(handle, connection, stream, route, timeout: plain.timeoutNanoseconds, plain.payload)
      }
    }
    guard let plain = TTRPCRequest(plain: data),
      let route = router.route(service: plain.service, method: plain.method, guess: connection.pointee.route)
    else { return beginUnusual(handle, connection, stream, data) }
    connection.pointee.route = route.entry
    begin(handle, connection, stream, route, timeout: plain.timeoutNanoseconds, plain.payload)
  }

  /// An envelope that protobuf-c is to judge, or names that are not served.
  private func beginUnusual(
    _ handle: ConnectionHandle, _ connection: UnsafeMutablePointer<Connection>, _ stream: UInt32,
    _ data: UnsafeRawBufferPointer
  ) {
    func refuse(_ code: StatusCode, _ message: String) {
      statistics.recordUnknown(code: code, nanoseconds: 0)
      write(handle, TTRPCResponse.failure(stream: stream, Status(code, message)))
    }
    switch MessageGuard.check(data, requestDescriptor) {
    case .fine: break
    case .invalidText(let field):
      return refuse(.invalidArgument, "ttrpc.Request.\(field): not UTF-8 text without a NUL")
    case .tooDeep: return refuse(.invalidArgument, "ttrpc.Request: nested too deeply")
    case .malformed: return refuse(.invalidArgument, "ttrpc.Request: malformed")
    }
    guard let request = arena.unpack(data, ttrpc__request__unpack) else {
      if arena.exhausted {
        statistics.refusedMemory.add()
        return refuse(.resourceExhausted, "ttrpc.Request: needs more memory than one message may take")
      }
      return refuse(.invalidArgument, "ttrpc.Request: malformed")
    }
    let service = Self.bytes(request.pointee.service)
    let method = Self.bytes(request.pointee.method)
    guard let route = router.route(service: service, method: method) else {
      let name = Self.quoted(service)
      return refuse(
        .unimplemented,
        router.knows(service: service)
          ? "method \(Self.quoted(method)) of \(name) is not served" : "service \(name) is not served")
    }
    let payload = UnsafeRawBufferPointer(start: request.pointee.payload.data, count: request.pointee.payload.len)
    begin(handle, connection, stream, route, timeout: request.pointee.timeout_nano, payload)
  }

  private func begin(
    _ handle: ConnectionHandle, _ connection: UnsafeMutablePointer<Connection>, _ stream: UInt32,
    _ route: Router.Route, timeout: Int64, _ payload: UnsafeRawBufferPointer
  ) {
    guard !isDraining, timeout >= 0, connection.pointee.callsInFlight < limits.callsPerConnection,
      calls.count < limits.calls
    else { return refuseCall(handle, connection, stream, route, timeout: timeout) }
    let now = reactor.now
    let deadline = timeout > 0 ? now.advanced(byNanoseconds: UInt64(timeout)) : .distantFuture
    let unnumbered = CallID(
      reactor: reactorIndex, connection: handle.slot, generation: handle.generation, stream: stream, entry: 0)
    let id = calls.insert(unnumbered, service: route.service, route: route.entry, received: now)
    connection.pointee.callsInFlight += 1
    let head = CallHead(
      id: id, method: route.method, received: now, deadline: deadline, isLocal: connection.pointee.isLocal)
    let refusal = called[route.service]._withUnsafeGuaranteedRef { $0.unary(head, payload) }
    if let refusal { fail(id, refusal) }
  }

  /// Says why a call is not begun.
  private func refuseCall(
    _ handle: ConnectionHandle, _ connection: UnsafeMutablePointer<Connection>, _ stream: UInt32,
    _ route: Router.Route, timeout: Int64
  ) {
    let refusal: Status
    if isDraining {
      statistics.refusedDraining.add()
      refusal = Status(.unavailable, "the server is shutting down")
    } else if timeout < 0 {
      statistics.refusedDeadline.add()
      refusal = Status(.deadlineExceeded, "timeout_nano: \(timeout), the deadline has passed")
    } else if connection.pointee.callsInFlight >= limits.callsPerConnection {
      statistics.refusedCalls.add()
      refusal = Status(
        .resourceExhausted, "\(limits.callsPerConnection) calls of this connection wait for their answers already")
    } else {
      statistics.refusedCalls.add()
      refusal = Status(.resourceExhausted, "\(limits.calls) calls wait for their answers already")
    }
    statistics.record(route: route.entry, code: refusal.code, nanoseconds: 0)
    write(handle, TTRPCResponse.failure(stream: stream, refusal))
  }

  private static func bytes(_ text: UnsafePointer<CChar>?) -> UnsafeRawBufferPointer {
    guard let text else { return UnsafeRawBufferPointer(start: nil, count: 0) }
    var count = 0
    while text[count] != 0 { count += 1 }
    return UnsafeRawBufferPointer(start: text, count: count)
  }

  /// A name that came in, for a message: at most 64 bytes of it.
  private static func quoted(_ name: UnsafeRawBufferPointer) -> String {
    let text = String(decoding: name.prefix(64), as: UTF8.self)
    return name.count > 64 ? "\"\(text)…\"" : "\"\(text)\""
  }

  // MARK: Responder

  public func message(_ call: CallID, bytes: Int) -> UnsafeMutableRawPointer? {
    guard calls.contains(call) else { return nil }
    let head = TTRPCResponse.headBytes(payloadBytes: bytes)
    guard head + bytes - TTRPCFrame.headerBytes <= TTRPCFrame.maximumDataBytes else {
      failTooLong(call, bytes)
      return nil
    }
    let handle = ConnectionHandle(slot: call.connection, generation: call.generation)
    guard let target = reactor.extend(handle, by: head + bytes) else { return nil }
    TTRPCResponse.writeHead(to: target, stream: call.stream, payloadBytes: bytes)
    return target + head
  }

  public func answer(_ call: CallID, bytes: Int, now: MonotonicTime, _ fill: (UnsafeMutableRawPointer) -> Void) {
    guard calls.contains(call) else { return }
    let head = TTRPCResponse.headBytes(payloadBytes: bytes)
    guard head + bytes - TTRPCFrame.headerBytes <= TTRPCFrame.maximumDataBytes else { return failTooLong(call, bytes) }
    let handle = ConnectionHandle(slot: call.connection, generation: call.generation)
    guard let target = reactor.extend(handle, by: head + bytes) else { return }
    TTRPCResponse.writeHead(to: target, stream: call.stream, payloadBytes: bytes)
    fill(target + head)
    finished(calls.take(call), now)
  }

  /// The most bytes that are answered at once.
  private static let runBytes = 4096

  public func answer(_ run: CallRun, bytes: Int, now: MonotonicTime, _ fill: (AnswerRun) -> Void) {
    let head = TTRPCResponse.headBytes(payloadBytes: bytes)
    let size = head + bytes
    // A head is copied as two words.
    guard size >= 16, 2 * size <= Self.runBytes else { return answerEach(run, 0, bytes: bytes, now: now, fill) }
    let most = Self.runBytes / size
    var first = 0
    while first < run.count {
      let count = min(most, run.count - first)
      let part = run.part(from: first, count: count)
      guard calls.contains(part) else { return answerEach(run, first, bytes: bytes, now: now, fill) }
      let id = part[0]
      let handle = ConnectionHandle(slot: id.pointee.connection, generation: id.pointee.generation)
      guard let target = reactor.extend(handle, by: size * count) else { return }
      TTRPCResponse.writeHead(to: target, stream: id.pointee.stream, payloadBytes: bytes)
      // The others are the same but for the stream; what is copied too much is overwritten by the messages.
      let words = (target.loadUnaligned(as: UInt64.self), target.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
      var place = target
      for index in 1..<count {
        place += size
        place.storeBytes(of: words.0, as: UInt64.self)
        place.storeBytes(of: words.1, toByteOffset: 8, as: UInt64.self)
        TTRPCFrame.write(stream: part[index].pointee.stream, toFrameAt: place)
      }
      fill(AnswerRun(target: target + head, stride: size, calls: first..<(first + count)))
      finished(part, now)
      first += count
    }
  }

  private func answerEach(
    _ run: CallRun, _ first: Int, bytes: Int, now: MonotonicTime, _ fill: (AnswerRun) -> Void
  ) {
    for index in first..<run.count {
      answer(run[index].pointee, bytes: bytes, now: now) { target in
        fill(AnswerRun(target: target, stride: 0, calls: index..<(index + 1)))
      }
    }
  }

  private func finished(_ run: CallRun, _ now: MonotonicTime) {
    // Calls that came in one round took equally long.
    var alike: UInt64 = 0
    var received = MonotonicTime(nanoseconds: 0)
    var route: Int32 = 0
    func observe() {
      guard alike > 0 else { return }
      succeeded[Int(route)]._withUnsafeGuaranteedRef { $0.observe(now.nanoseconds(since: received), times: alike) }
    }
    for index in 0..<run.count {
      let entry = calls.take(run[index].pointee)
      if entry.pointee.received != received || entry.pointee.route != route {
        observe()
        (received, route, alike) = (entry.pointee.received, entry.pointee.route, 0)
      }
      alike += 1
    }
    observe()
    leave(run[0].pointee, calls: run.count)
  }

  private func failTooLong(_ call: CallID, _ bytes: Int) {
    let message =
      "the answer has \(bytes) bytes, a frame at most \(TTRPCFrame.maximumDataBytes); ask for fewer rows"
    fail(call, Status(.resourceExhausted, message))
  }

  public func finish(_ call: CallID, now: MonotonicTime) {
    guard let entry = calls.remove(call) else { return }
    finished(entry, now)
  }

  @inline(__always)
  private func finished(_ entry: UnsafePointer<CallTable.Entry>, _ now: MonotonicTime) {
    let took = now.nanoseconds(since: entry.pointee.received)
    succeeded[Int(entry.pointee.route)]._withUnsafeGuaranteedRef { $0.observe(took) }
    leave(entry.pointee.id)
  }

  public func fail(_ call: CallID, _ status: Status) {
    guard calls.contains(call) else { return }
    let handle = ConnectionHandle(slot: call.connection, generation: call.generation)
    write(handle, TTRPCResponse.failure(stream: call.stream, status))
    end(call, status.code, .now())
  }

  /// - Parameter now: not the reactor's own time, which stands still during a round: most calls are read and answered
  ///   in one.
  private func end(_ call: CallID, _ code: StatusCode, _ now: MonotonicTime) {
    guard let entry = calls.remove(call) else { return }
    let took = now.nanoseconds(since: entry.pointee.received)
    statistics.record(route: Int(entry.pointee.route), code: code, nanoseconds: took)
    leave(call)
  }

  /// A call of the connection is over, or so many of them.
  @inline(__always)
  private func leave(_ call: CallID, calls: Int = 1) {
    let connection = connections + Int(call.connection)
    connection.pointee.callsInFlight -= calls
    guard connection.pointee.isHalfClosed, connection.pointee.callsInFlight == 0 else { return }
    let handle = ConnectionHandle(slot: call.connection, generation: call.generation)
    reactor.close(handle, reason: .peerClosed, afterFlush: true)
  }

  private func write(_ handle: ConnectionHandle, _ frame: [UInt8]) {
    guard let target = reactor.reserve(handle, frame.count) else { return }
    frame.withUnsafeBytes { target.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
    reactor.commit(handle, frame.count)
  }
}
