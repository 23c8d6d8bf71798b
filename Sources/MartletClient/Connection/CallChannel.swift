import MartletCore
import MartletSockets

/// Sends ttrpc calls on connections that the owner chooses, and reports their ends: one thread, no policy.
///
/// Nothing is retried, queued or timed out here; `MartletClient` and the load harness do that above it. A call in
/// flight costs no memory of its own and no allocation: it is a number in its connection's table.
///
///     let channel = CallChannel()
///     channel.start(delegate: driver)
///     channel.post { connection = try? channel.connect(to: address) }
///     // later, in the driver's `connected`:
///     channel.send(frame, call: 7, on: connection)
///     // and `driver.completed` gets call 7, its status code and its bytes.
public final class CallChannel: @unchecked Sendable {
  // Unchecked: `reactor` is safe to share; everything else is touched on the reactor's thread only, or before `start`.

  public enum SendOutcome: Sendable, Equatable {
    /// On its way; `stream` names it on its connection.
    case sent(stream: UInt32)
    /// Too much is unsent on this connection: try later or elsewhere.
    case full
    /// The connection is not open, or not yet.
    case notOpen
    /// The connection has used up its stream numbers: close it and open another.
    case exhausted
  }

  private struct Connection {
    var generation: UInt32
    var isOpen = false
    var protocolState = TTRPCClientConnection()
  }

  private let reactor: Reactor
  private var delegate: (any CallChannelDelegate)?
  /// By the handle's slot.
  private var connections: [Connection?] = []

  /// A channel on a thread of its own, which begins with `start`.
  public init(poller: PollerKind = .epoll, limits: SocketLimits = SocketLimits()) {
    reactor = Reactor(index: 0, poller: poller, limits: limits, statistics: SocketStatistics(reactor: 0))
  }

  // MARK: Any thread

  /// Begins to run; the channel keeps `delegate` until `stop`.
  public func start(delegate: any CallChannelDelegate) {
    self.delegate = delegate
    reactor.setHandler(self)
    reactor.start()
  }

  /// Ends every connection and the thread, and returns when that is done. Not from the channel's own thread.
  public func stop() {
    reactor.stop()
    delegate = nil
  }

  /// Runs `work` on the channel's thread; false when its mailbox is full or it is stopped.
  @discardableResult
  public func post(_ work: @escaping @Sendable () -> Void) -> Bool { reactor.post(work) }

  // MARK: The channel's thread

  /// The clock as of the beginning of this round.
  public var now: MonotonicTime { reactor.now }

  /// Begins to open a connection; the delegate hears `connected`, or `closed` when that fails.
  public func connect(to address: SocketAddress) throws(Status) -> ConnectionHandle {
    let handle = try reactor.connect(to: address)
    let slot = Int(handle.slot)
    while connections.count <= slot { connections.append(nil) }
    connections[slot] = Connection(generation: handle.generation)
    return handle
  }

  /// Sends a call that the delegate will hear of as `call`: `completed` or `lost`, exactly once unless forgotten.
  public func send(_ frame: CallFrame, call: UInt64, on handle: ConnectionHandle) -> SendOutcome {
    let slot = Int(handle.slot)
    guard slot < connections.count, connections[slot]?.generation == handle.generation,
      connections[slot]?.isOpen == true
    else { return .notOpen }
    guard let target = reactor.reserve(handle, frame.byteCount) else {
      return reactor.isAlive(handle) ? .full : .notOpen
    }
    guard let stream = connections[slot]?.protocolState.open(call: call) else { return .exhausted }
    frame.write(stream: stream, to: target)
    reactor.commit(handle, frame.byteCount)
    return .sent(stream: stream)
  }

  /// Drops a call in flight: its answer, when it comes, is passed over. False when it is not in flight.
  @discardableResult
  public func forget(stream: UInt32, on handle: ConnectionHandle) -> Bool {
    let slot = Int(handle.slot)
    guard slot < connections.count, connections[slot]?.generation == handle.generation else { return false }
    return connections[slot]?.protocolState.forget(stream: stream) ?? false
  }

  public func callsInFlight(on handle: ConnectionHandle) -> Int {
    let slot = Int(handle.slot)
    guard slot < connections.count, connections[slot]?.generation == handle.generation else { return 0 }
    return connections[slot]?.protocolState.callsInFlight ?? 0
  }

  /// Bytes of requests that are not yet on the wire.
  public func unsentBytes(on handle: ConnectionHandle) -> Int { reactor.unsentBytes(handle) }

  /// Ends a connection; its calls in flight are reported as lost.
  public func close(_ handle: ConnectionHandle) {
    reactor.close(handle, reason: .local, afterFlush: false)
  }

  /// Tells the delegate `timerFired(token)` once, not before `time`.
  public func schedule(at time: MonotonicTime, token: UInt64) { reactor.schedule(at: time, token: token) }
}

extension CallChannel: ReactorHandler {
  public func opened(_ handle: ConnectionHandle, peer: PeerInfo) {
    let slot = Int(handle.slot)
    guard slot < connections.count, connections[slot]?.generation == handle.generation else { return }
    connections[slot]?.isOpen = true
    delegate?.connected(handle)
  }

  public func received(_ handle: ConnectionHandle, bytes: UnsafeRawBufferPointer) -> Int {
    let slot = Int(handle.slot)
    guard let delegate else { return bytes.count }
    let receivedAt = MonotonicTime.now()
    var consumed = 0
    // The delegate may end the connection from inside; what follows on it is then nobody's.
    while slot < connections.count, connections[slot]?.generation == handle.generation {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[consumed...])
      guard let step = connections[slot]?.protocolState.next(rest) else { break }
      consumed += step.consumed
      switch step.event {
      case .needMore: return consumed
      case .skipped: continue
      case .answered(let answer):
        let completion = CallCompletion(
          call: answer.call, connection: handle, code: answer.code, receivedAt: receivedAt,
          retryNanoseconds: answer.retryNanoseconds)
        let span = RawSpan(_unsafeBytes: rest)
        delegate.completed(
          completion, payload: span.extracting(answer.payload), message: span.extracting(answer.message))
      case .oversized(let call, let count):
        end(
          call, on: handle, .resourceExhausted, "the answer has \(count) bytes, more than a ttrpc frame may have",
          receivedAt)
      case .malformed(let call):
        end(call, on: handle, .internalError, "the answer is not a ttrpc response", receivedAt)
      case .broken:
        reactor.close(handle, reason: .protocolError, afterFlush: false)
        return bytes.count
      }
    }
    return bytes.count
  }

  /// Reports an end that this side has to put into words.
  private func end(
    _ call: UInt64, on handle: ConnectionHandle, _ code: StatusCode, _ message: String, _ receivedAt: MonotonicTime
  ) {
    let completion = CallCompletion(call: call, connection: handle, code: code.rawValue, receivedAt: receivedAt)
    let text = Array(message.utf8)
    let span = text.span.bytes
    delegate?.completed(completion, payload: span.extracting(0..<0), message: span)
  }

  public func peerFinished(_ handle: ConnectionHandle) {
    // A server that sends nothing more answers nothing more.
    reactor.close(handle, reason: .peerClosed, afterFlush: false)
  }

  public func closed(_ handle: ConnectionHandle, reason: CloseReason) {
    let slot = Int(handle.slot)
    guard slot < connections.count, connections[slot]?.generation == handle.generation else { return }
    let calls = connections[slot]?.protocolState.abandon() ?? []
    connections[slot] = nil
    for call in calls { delegate?.lost(call: call, on: handle, reason: reason) }
    delegate?.closed(handle, reason: reason)
  }

  public func roundEnded(now: MonotonicTime) -> Bool { delegate?.roundEnded(now: now) ?? false }

  public func timerFired(token: UInt64, now: MonotonicTime) { delegate?.timerFired(token: token, now: now) }

  public func mayCloseIdle(_ handle: ConnectionHandle) -> Bool { callsInFlight(on: handle) == 0 }
}
