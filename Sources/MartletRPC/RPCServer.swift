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
    var peer: PeerInfo?
    var spoken: SniffedProtocol?
    var ttrpc = TTRPCServerConnection()
    var callsInFlight = 0
    /// The route of the last call: callers mostly stay with a method.
    var route = -1
    var callsInRound = 0
    var round: UInt64 = 0
    /// The peer has sent its last byte: the connection ends with its last answer.
    var isHalfClosed = false
  }

  /// A connection that was refused and why; called on the reactor's thread.
  public var refusedConnection: (PeerInfo, String) -> Void = { _, _ in }
  public private(set) var statistics: RPCStatistics

  private let reactor: Reactor
  private let limits: RPCLimits
  private let arena: MessageArena
  private var services: [any Service] = []
  private var router = Router([])
  private var workers: [any RoundWorker] = []
  private var connections: [Connection] = []
  private var calls = CallTable()
  private var round: UInt64 = 1
  private var isDraining = false
  private let requestDescriptor: UnsafePointer<ProtobufCMessageDescriptor>

  /// - Parameter arena: where the envelopes of calls are unpacked; services unpack their messages there as well.
  public init(reactor: Reactor, limits: RPCLimits, arena: MessageArena) {
    self.reactor = reactor
    self.limits = limits
    self.arena = arena
    statistics = RPCStatistics([])
    var message = Ttrpc__Request()
    ttrpc__request__init(&message)
    requestDescriptor = message.base.descriptor
  }

  /// Sets what is served; once, before the reactor starts.
  public func serve(_ services: [any Service], workers: [any RoundWorker]) {
    self.services = services
    self.workers = workers
    router = Router(services)
    statistics = RPCStatistics(services)
  }

  /// From here on every new call is refused with UNAVAILABLE; those in flight are answered.
  public func drain() { isDraining = true }

  /// Calls that have not been answered.
  public var callsInFlight: Int { calls.count }

  // MARK: Connections

  public func opened(_ handle: ConnectionHandle, peer: PeerInfo) {
    let slot = Int(handle.slot)
    while connections.count <= slot { connections.append(Connection()) }
    var connection = Connection()
    connection.generation = handle.generation
    connection.isLocal = peer.isLocal
    connection.peer = peer
    connection.ttrpc = TTRPCServerConnection(maximumDataBytes: limits.frameBytes)
    connections[slot] = connection
  }

  public func closed(_ handle: ConnectionHandle, reason: CloseReason) {
    let slot = Int(handle.slot)
    guard slot < connections.count, connections[slot].generation == handle.generation else { return }
    if connections[slot].callsInFlight > 0 {
      for call in calls.calls(connection: handle.slot, generation: handle.generation) {
        services[Int(call.service)].cancel(call.id)
        end(call.id, .cancelled, .now())
      }
    }
    connections[slot].peer = nil
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
    return isWorkLeft
  }

  // MARK: Bytes in

  public func received(_ handle: ConnectionHandle, bytes: UnsafeRawBufferPointer) -> Int {
    let slot = Int(handle.slot)
    if connections[slot].spoken == nil {
      guard let spoken = Sniffer.sniff(bytes) else { return 0 }
      connections[slot].spoken = spoken
      guard spoken == .ttrpc else {
        refuse(handle, "\(spoken.name): only ttrpc is served here")
        return bytes.count
      }
    }
    let began = MonotonicTime.now()
    defer { statistics.decode.observe(MonotonicTime.now().nanoseconds(since: began)) }
    if connections[slot].round != round {
      connections[slot].round = round
      connections[slot].callsInRound = 0
    }
    var consumed = 0
    while true {
      if connections[slot].callsInRound >= limits.callsPerConnectionAndRound {
        reactor.resumeParsing(handle)
        return consumed
      }
      let (event, count) = connections[slot].ttrpc.next(UnsafeRawBufferPointer(rebasing: bytes[consumed...]))
      consumed += count
      switch event {
      case .needMore: return consumed
      case .skipped: break
      case .request(let stream, let dataBytes):
        connections[slot].callsInRound += 1
        let data = UnsafeRawBufferPointer(rebasing: bytes[(consumed - dataBytes)..<consumed])
        begin(handle, stream, data)
      case .refused(let stream, let status):
        connections[slot].callsInRound += 1
        if status.code == .resourceExhausted { statistics.refusedFrame.add() }
        statistics.recordUnknown(code: status.code, nanoseconds: 0)
        write(handle, TTRPCResponse.failure(stream: stream, status))
      case .broken(let reason):
        refuse(handle, reason)
        return bytes.count
      }
      guard reactor.isAlive(handle) else { return bytes.count }
    }
  }

  private func refuse(_ handle: ConnectionHandle, _ reason: String) {
    if let peer = connections[Int(handle.slot)].peer { refusedConnection(peer, reason) }
    reactor.close(handle, reason: .protocolError, afterFlush: true)
  }

  // MARK: Calls

  private func begin(_ handle: ConnectionHandle, _ stream: UInt32, _ data: UnsafeRawBufferPointer) {
    arena.reset()
    func refuse(_ code: StatusCode, _ message: String) {
      statistics.recordUnknown(code: code, nanoseconds: 0)
      write(handle, TTRPCResponse.failure(stream: stream, Status(code, message)))
    }
    if let plain = TTRPCRequest(plain: data),
      let route = router.route(
        service: plain.service, method: plain.method, guess: connections[Int(handle.slot)].route)
    {
      connections[Int(handle.slot)].route = route.entry
      return begin(handle, stream, route, timeout: plain.timeoutNanoseconds, plain.payload)
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
    begin(handle, stream, route, timeout: request.pointee.timeout_nano, payload)
  }

  private func begin(
    _ handle: ConnectionHandle, _ stream: UInt32, _ route: Router.Route, timeout: Int64,
    _ payload: UnsafeRawBufferPointer
  ) {
    let now = reactor.now
    let slot = Int(handle.slot)
    let refusal: Status?
    if isDraining {
      statistics.refusedDraining.add()
      refusal = Status(.unavailable, "the server is shutting down")
    } else if timeout < 0 {
      statistics.refusedDeadline.add()
      refusal = Status(.deadlineExceeded, "timeout_nano: \(timeout), the deadline has passed")
    } else if connections[slot].callsInFlight >= limits.callsPerConnection {
      statistics.refusedCalls.add()
      refusal = Status(
        .resourceExhausted, "\(limits.callsPerConnection) calls of this connection wait for their answers already")
    } else if calls.count >= limits.calls {
      statistics.refusedCalls.add()
      refusal = Status(.resourceExhausted, "\(limits.calls) calls wait for their answers already")
    } else {
      refusal = nil
    }
    if let refusal {
      statistics.record(service: route.service, method: route.method, code: refusal.code, nanoseconds: 0)
      return write(handle, TTRPCResponse.failure(stream: stream, refusal))
    }
    let deadline = timeout > 0 ? now.advanced(byNanoseconds: UInt64(timeout)) : .distantFuture
    let unnumbered = CallID(
      reactor: UInt16(reactor.index), connection: handle.slot, generation: handle.generation, stream: stream, entry: 0)
    let id = calls.insert(unnumbered, service: route.service, method: route.method, received: now)
    connections[slot].callsInFlight += 1
    let head = CallHead(
      id: id, method: route.method, received: now, deadline: deadline, isLocal: connections[slot].isLocal)
    do throws(Status) {
      try services[route.service].unary(head, payload)
    } catch {
      fail(id, error)
    }
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
    let handle = ConnectionHandle(slot: call.connection, generation: call.generation)
    guard head + bytes - TTRPCFrame.headerBytes <= TTRPCFrame.maximumDataBytes else {
      fail(
        call,
        Status(
          .resourceExhausted,
          "the answer has \(bytes) bytes, a frame at most \(TTRPCFrame.maximumDataBytes); ask for fewer rows"))
      return nil
    }
    guard let target = reactor.reserve(handle, head + bytes) else { return nil }
    TTRPCResponse.writeHead(to: target, stream: call.stream, payloadBytes: bytes)
    reactor.commit(handle, head + bytes)
    return target + head
  }

  public func finish(_ call: CallID, now: MonotonicTime) { end(call, .ok, now) }

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
    let took = now.nanoseconds(since: entry.received)
    statistics.record(service: Int(entry.service), method: Int(entry.method), code: code, nanoseconds: took)
    let slot = Int(call.connection)
    connections[slot].callsInFlight -= 1
    if connections[slot].isHalfClosed, connections[slot].callsInFlight == 0 {
      let handle = ConnectionHandle(slot: call.connection, generation: call.generation)
      reactor.close(handle, reason: .peerClosed, afterFlush: true)
    }
  }

  private func write(_ handle: ConnectionHandle, _ frame: [UInt8]) {
    guard let target = reactor.reserve(handle, frame.count) else { return }
    frame.withUnsafeBytes { target.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
    reactor.commit(handle, frame.count)
  }
}
