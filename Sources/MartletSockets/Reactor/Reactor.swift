import CLinux
import Dispatch
import Glibc
import MartletCore
import Synchronization

/// A thread's worth of connections: it owns their sockets, buffers and timers, without locks.
///
/// Rounds: wait for readiness, read every ready socket once, let the handler answer, write every socket that has
/// output once. `@unchecked Sendable`: the methods for any thread use the mailbox and atomics; the rest is confined to
/// the reactor's thread, which debug builds assert.
public final class Reactor: @unchecked Sendable {
  private enum Timer {
    case connection(ConnectionHandle)
    case handler(token: UInt64)
    case listener(Int32)
  }

  private static let listenerBit: UInt64 = 1 << 63

  public let index: Int
  public let limits: SocketLimits
  public let statistics: SocketStatistics

  private let poller: any Poller
  private let mailbox: Mailbox
  private let count = Atomic<Int>(0)
  private let isStopping = Atomic<Bool>(false)
  private let ended = DispatchSemaphore(value: 0)
  private var isStarted = false

  private var handler: (any ReactorHandler)?
  private var time = MonotonicTime.now()
  private var slab = ConnectionSlab()
  private var pool = BufferPool()
  private var wheel: TimerWheel<Timer>
  /// One read's worth of bytes, shared: a connection keeps only what was not consumed of it.
  private let chunk: UnsafeMutableRawBufferPointer
  private var dirty: [ConnectionHandle] = []
  private var closing: [ConnectionHandle] = []
  private var parsing: [ConnectionHandle] = []
  private var parsingNow: [ConnectionHandle] = []
  private var listeners: [Int32: Listener] = [:]

  public init(index: Int, poller: PollerKind, limits: SocketLimits, statistics: SocketStatistics) {
    self.index = index
    self.limits = limits
    self.statistics = statistics
    let name = "martlet-reactor-\(index)"
    self.poller = poller == .epoll ? EpollPoller(name: name) : DispatchPoller(name: name)
    mailbox = Mailbox(capacity: limits.mailboxCapacity)
    wheel = TimerWheel(now: time)
    chunk = .allocate(byteCount: limits.readChunkBytes, alignment: 64)
    dirty.reserveCapacity(256)
    closing.reserveCapacity(256)
    parsing.reserveCapacity(256)
    parsingNow.reserveCapacity(256)
  }

  deinit { chunk.deallocate() }

  // MARK: Any thread

  /// Sets who is told; before `start`.
  public func setHandler(_ handler: any ReactorHandler) { self.handler = handler }

  /// Begins to run, on a thread (epoll) or serial queue (dispatch) of its own.
  public func start() {
    isStarted = true
    poller.start(self)
  }

  /// Ends the loop, closes every connection and returns when that is done. Not on the reactor's thread.
  public func stop() {
    guard isStarted, !isStopping.exchange(true, ordering: .acquiringAndReleasing) else { return }
    poller.wake()
    ended.wait()
  }

  /// Hands work to the reactor's thread; false when its mailbox is full or it is stopped.
  public func post(_ work: @escaping @Sendable () -> Void) -> Bool {
    switch mailbox.post(work) {
    case .first:
      poller.wake()
      return true
    case .queued: return true
    case .refused: return false
    }
  }

  /// Takes over an accepted, non-blocking socket; it is closed when the reactor cannot take it.
  public func adopt(_ descriptor: Int32, peer: PeerInfo) { _ = adopt(descriptor, peer: peer, limiter: nil) }

  /// The same, giving its place in `limiter` back when it ends. False when it could not be taken.
  func adopt(_ descriptor: Int32, peer: PeerInfo, limiter: ConnectionLimiter?) -> Bool {
    count.add(1, ordering: .relaxed)
    let isPosted = post { self.open(descriptor, peer, limiter) }
    if !isPosted {
      count.subtract(1, ordering: .relaxed)
      _ = Glibc.close(descriptor)
      limiter?.release(peer.address)
    }
    return isPosted
  }

  /// Connections it has or has been given.
  public var connectionCount: Int { count.load(ordering: .relaxed) }

  // MARK: The reactor's thread only

  /// The clock, read once a round.
  public var now: MonotonicTime { time }

  /// Begins to open a connection; `opened` is called when it stands, `closed` when it fails.
  public func connect(to address: SocketAddress) throws(Status) -> ConnectionHandle {
    assert(poller.isOnThread)
    let descriptor = socket(
      address.family, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw Status(.unavailable, "\(address): \(String(cString: strerror(errno)))") }
    if !address.isUnix {
      var one: Int32 = 1
      setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
    }
    let outcome = address.withSystemAddress { Glibc.connect(descriptor, $0, $1) }
    guard outcome == 0 || errno == EINPROGRESS else {
      let error = errno
      _ = Glibc.close(descriptor)
      throw Status(.unavailable, "\(address): \(String(cString: strerror(error)))")
    }
    count.add(1, ordering: .relaxed)
    let peer = PeerInfo(address: address, listener: address)
    let (handle, connection) = insert(descriptor, peer, .connecting)
    connection.pointee.began = time
    setInterest(connection, handle, .write)
    watchTimeouts(handle)
    return handle
  }

  /// Room at the end of the write buffer; nil when the connection is gone or has too much unsent.
  ///
  /// The pointer is valid until the next call of the reactor; `commit` makes its bytes part of the output.
  public func reserve(_ handle: ConnectionHandle, _ bytes: Int) -> UnsafeMutableRawPointer? {
    assert(poller.isOnThread)
    guard let connection = slab.find(handle), connection.pointee.phase == .open else { return nil }
    guard connection.pointee.output.count + bytes <= limits.maxWriteBufferBytes else {
      close(handle, reason: .slowReader, afterFlush: false)
      return nil
    }
    return connection.pointee.output.reserve(bytes, &pool)
  }

  /// Makes the first `bytes` of what was reserved part of the output.
  public func commit(_ handle: ConnectionHandle, _ bytes: Int) {
    guard let connection = slab.find(handle) else { return }
    if connection.pointee.output.isEmpty { connection.pointee.lastWritten = time }
    connection.pointee.output.append(bytes)
    markDirty(connection, handle)
  }

  /// Ends a connection, at the end of the round at the earliest.
  public func close(_ handle: ConnectionHandle, reason: CloseReason, afterFlush: Bool) {
    assert(poller.isOnThread)
    guard let connection = slab.find(handle), connection.pointee.phase != .closing else { return }
    if afterFlush, connection.pointee.phase == .open {
      connection.pointee.phase = .flushing
      connection.pointee.reason = reason
      connection.pointee.wantsParse = false
      markDirty(connection, handle)
    } else if !afterFlush || connection.pointee.phase == .connecting {
      if connection.pointee.phase == .open || connection.pointee.phase == .connecting {
        connection.pointee.reason = reason
      }
      connection.pointee.phase = .closing
      closing.append(handle)
    }
  }

  public func pauseReading(_ handle: ConnectionHandle) {
    guard let connection = slab.find(handle) else { return }
    connection.pointee.isReadingPaused = true
    updateInterest(connection, handle)
  }

  public func resumeReading(_ handle: ConnectionHandle) {
    guard let connection = slab.find(handle) else { return }
    connection.pointee.isReadingPaused = false
    updateInterest(connection, handle)
  }

  /// Asks for `received` again at the next round with the bytes kept.
  public func resumeParsing(_ handle: ConnectionHandle) {
    guard let connection = slab.find(handle), !connection.pointee.wantsParse, connection.pointee.phase == .open else {
      return
    }
    connection.pointee.wantsParse = true
    parsing.append(handle)
  }

  /// Whether the connection can still be answered.
  public func isAlive(_ handle: ConnectionHandle) -> Bool {
    slab.find(handle).map { $0.pointee.phase == .open } ?? false
  }

  /// Committed bytes that are not sent yet; 0 when the connection is gone.
  public func unsentBytes(_ handle: ConnectionHandle) -> Int { slab.find(handle)?.pointee.output.count ?? 0 }

  /// Calls `timerFired(token)` once, not before `time`.
  public func schedule(at time: MonotonicTime, token: UInt64) { wheel.insert(.handler(token: token), at: time) }

  // MARK: Listeners

  func listen(_ descriptor: Int32, _ listener: Listener) {
    listeners[descriptor] = listener
    poller.watch(descriptor, token: Self.listenerBit | UInt64(descriptor), interest: .read)
  }

  /// Accepts nothing for a while: the system has no descriptor or memory left.
  func pauseListener(_ descriptor: Int32, _ listener: Listener) {
    poller.watch(descriptor, token: Self.listenerBit | UInt64(descriptor), interest: [])
    wheel.insert(.listener(descriptor), at: time.advanced(by: limits.acceptBackoff))
  }

  func closeListener(_ descriptor: Int32) {
    listeners[descriptor] = nil
    poller.close(descriptor)
  }

  // MARK: Connections

  private func insert(
    _ descriptor: Int32, _ peer: PeerInfo, _ phase: Connection.Phase
  ) -> (ConnectionHandle, UnsafeMutablePointer<Connection>) {
    let slot = slab.take()
    let connection = slab[slot]
    let handle = ConnectionHandle(slot: slot, generation: connection.pointee.generation)
    connection.pointee.descriptor = descriptor
    connection.pointee.phase = phase
    connection.pointee.peer = peer
    connection.pointee.limiter = nil
    connection.pointee.interest = []
    connection.pointee.isReadingPaused = false
    connection.pointee.isOverHighWater = false
    connection.pointee.isPeerFinished = false
    connection.pointee.wantsParse = false
    connection.pointee.isDirty = false
    connection.pointee.isToldClosed = false
    connection.pointee.hasReceived = false
    connection.pointee.began = time
    connection.pointee.lastActivity = time
    connection.pointee.lastWritten = time
    let kind = SocketStatistics.index(peer.listener)
    statistics.open[kind].set(statistics.open[kind].value + 1)
    return (handle, connection)
  }

  private func open(_ descriptor: Int32, _ peer: PeerInfo, _ limiter: ConnectionLimiter?) {
    let (handle, connection) = insert(descriptor, peer, .open)
    connection.pointee.limiter = limiter
    statistics.accepted[SocketStatistics.index(peer.listener)].add()
    setInterest(connection, handle, .read)
    watchTimeouts(handle)
    handler?.opened(handle, peer: peer)
  }

  private func markDirty(_ connection: UnsafeMutablePointer<Connection>, _ handle: ConnectionHandle) {
    guard !connection.pointee.isDirty else { return }
    connection.pointee.isDirty = true
    dirty.append(handle)
  }

  private func setInterest(
    _ connection: UnsafeMutablePointer<Connection>, _ handle: ConnectionHandle, _ interest: Interest
  ) {
    guard connection.pointee.interest != interest || interest.isEmpty else { return }
    connection.pointee.interest = interest
    let token = UInt64(handle.generation & 0x7fff_ffff) << 32 | UInt64(handle.slot)
    poller.watch(connection.pointee.descriptor, token: token, interest: interest)
  }

  private func updateInterest(_ connection: UnsafeMutablePointer<Connection>, _ handle: ConnectionHandle) {
    var interest: Interest = []
    switch connection.pointee.phase {
    case .open:
      if !connection.pointee.isReadingPaused, !connection.pointee.isOverHighWater, !connection.pointee.isPeerFinished {
        interest.insert(.read)
      }
    case .lingering: interest.insert(.read)
    case .connecting: interest.insert(.write)
    case .flushing, .closing, .free: break
    }
    if !connection.pointee.output.isEmpty { interest.insert(.write) }
    setInterest(connection, handle, interest)
  }

  // MARK: Reading

  private func read(_ connection: UnsafeMutablePointer<Connection>, _ handle: ConnectionHandle) {
    if connection.pointee.phase == .lingering { return discard(connection, handle) }
    // What was kept is looked at first; more is read when it has been.
    guard connection.pointee.phase == .open, !connection.pointee.wantsParse else { return }
    let began = MonotonicTime.now()
    let target: UnsafeMutableRawPointer
    let hasKept = !connection.pointee.input.isEmpty
    if hasKept {
      target = connection.pointee.input.reserve(limits.readChunkBytes, &pool)
    } else {
      target = chunk.baseAddress!
    }
    let count = recv(connection.pointee.descriptor, target, limits.readChunkBytes, Int32(MSG_DONTWAIT))
    statistics.read.observe(MonotonicTime.now().nanoseconds(since: began))
    if count < 0 {
      if errno != EAGAIN, errno != EINTR { close(handle, reason: .reset(errno), afterFlush: false) }
      return
    }
    if count == 0 { return finishPeer(connection, handle) }
    connection.pointee.hasReceived = true
    connection.pointee.lastActivity = time
    statistics.bytesIn[SocketStatistics.index(connection.pointee.peer.listener)].add(UInt64(count))
    if hasKept {
      connection.pointee.input.append(count)
      parse(connection, handle)
    } else {
      let bytes = UnsafeRawBufferPointer(start: target, count: count)
      let consumed = handler?.received(handle, bytes: bytes) ?? count
      precondition(consumed >= 0 && consumed <= count, "a handler consumed \(consumed) of \(count) bytes")
      keep(UnsafeRawBufferPointer(rebasing: bytes[consumed...]), connection, handle)
    }
  }

  private func keep(
    _ rest: UnsafeRawBufferPointer, _ connection: UnsafeMutablePointer<Connection>, _ handle: ConnectionHandle
  ) {
    guard rest.count > 0, connection.pointee.phase == .open else { return }
    let room = connection.pointee.input.reserve(rest.count, &pool)
    memcpy(room, rest.baseAddress!, rest.count)
    connection.pointee.input.append(rest.count)
    connection.pointee.incompleteSince = time
  }

  /// Shows the handler what was kept, with what came since.
  private func parse(_ connection: UnsafeMutablePointer<Connection>, _ handle: ConnectionHandle) {
    guard connection.pointee.phase == .open, !connection.pointee.input.isEmpty else { return }
    let count = connection.pointee.input.count
    let consumed = handler?.received(handle, bytes: connection.pointee.input.bytes) ?? count
    precondition(consumed >= 0 && consumed <= count, "a handler consumed \(consumed) of \(count) bytes")
    connection.pointee.input.remove(consumed)
    if consumed > 0 { connection.pointee.incompleteSince = time }
    if connection.pointee.input.isEmpty {
      connection.pointee.input.release(&pool)
    } else if connection.pointee.input.count > limits.maxReadBufferBytes, !connection.pointee.wantsParse {
      close(handle, reason: .readBufferFull, afterFlush: false)
    }
  }

  private func finishPeer(_ connection: UnsafeMutablePointer<Connection>, _ handle: ConnectionHandle) {
    guard !connection.pointee.isPeerFinished else { return }
    connection.pointee.isPeerFinished = true
    updateInterest(connection, handle)
    handler?.peerFinished(handle)
  }

  /// Reads what a peer still sends to a connection that has said its last word.
  private func discard(_ connection: UnsafeMutablePointer<Connection>, _ handle: ConnectionHandle) {
    let count = recv(
      connection.pointee.descriptor, chunk.baseAddress!, chunk.count, Int32(MSG_DONTWAIT))
    if count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR) {
      close(handle, reason: connection.pointee.reason, afterFlush: false)
    }
  }

  // MARK: Writing

  private func flush(_ connection: UnsafeMutablePointer<Connection>, _ handle: ConnectionHandle) {
    if !connection.pointee.output.isEmpty {
      let began = MonotonicTime.now()
      let bytes = connection.pointee.output.bytes
      let count = send(
        connection.pointee.descriptor, bytes.baseAddress, bytes.count,
        Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
      statistics.write.observe(MonotonicTime.now().nanoseconds(since: began))
      if count > 0 {
        statistics.bytesOut[SocketStatistics.index(connection.pointee.peer.listener)].add(UInt64(count))
        connection.pointee.output.remove(count)
        connection.pointee.lastWritten = time
        connection.pointee.lastActivity = time
      } else if errno != EAGAIN, errno != EINTR {
        return close(handle, reason: .reset(errno), afterFlush: false)
      }
    }
    let waiting = connection.pointee.output.count
    if waiting == 0 { connection.pointee.output.release(&pool) }
    if waiting > limits.writeHighWaterBytes {
      connection.pointee.isOverHighWater = true
    } else if waiting <= limits.writeHighWaterBytes / 2 {
      connection.pointee.isOverHighWater = false
    }
    if waiting == 0, connection.pointee.phase == .flushing {
      linger(connection, handle)
      return
    }
    updateInterest(connection, handle)
  }

  /// Everything is sent: says so, and waits for the peer's end, unless it has come.
  private func linger(_ connection: UnsafeMutablePointer<Connection>, _ handle: ConnectionHandle) {
    connection.pointee.input.clear(&pool)
    if connection.pointee.isPeerFinished {
      return close(handle, reason: connection.pointee.reason, afterFlush: false)
    }
    shutdown(connection.pointee.descriptor, Int32(SHUT_WR))
    connection.pointee.phase = .lingering
    connection.pointee.began = time
    connection.pointee.isReadingPaused = false
    updateInterest(connection, handle)
    tellClosed(connection, handle)
    wheel.insert(.connection(handle), at: time.advanced(by: limits.lingerTimeout))
  }

  private func tellClosed(_ connection: UnsafeMutablePointer<Connection>, _ handle: ConnectionHandle) {
    guard !connection.pointee.isToldClosed else { return }
    connection.pointee.isToldClosed = true
    handler?.closed(handle, reason: connection.pointee.reason)
  }

  // MARK: Ends

  private func endClosings() {
    while let handle = closing.popLast() {
      guard let connection = slab.find(handle) else { continue }
      tellClosed(connection, handle)
      connection.pointee.input.clear(&pool)
      connection.pointee.output.clear(&pool)
      poller.close(connection.pointee.descriptor)
      connection.pointee.descriptor = -1
      let peer = connection.pointee.peer
      connection.pointee.limiter?.release(peer.address)
      connection.pointee.limiter = nil
      statistics.closed[connection.pointee.reason.ordinal].add()
      let kind = SocketStatistics.index(peer.listener)
      statistics.open[kind].set(statistics.open[kind].value &- 1)
      slab.giveBack(handle.slot)
      count.subtract(1, ordering: .relaxed)
    }
  }

  // MARK: Timeouts

  /// When this connection should be looked at next; what happens in between is not noted anywhere.
  private func watchTimeouts(_ handle: ConnectionHandle) {
    guard let connection = slab.find(handle), connection.pointee.phase != .closing else { return }
    var due = MonotonicTime.distantFuture
    /// Whether the timeout is over; if not, it is one of those to wait for.
    func isOver(_ since: MonotonicTime, _ timeout: Duration) -> Bool {
      // Zero is without end.
      guard timeout > .zero else { return false }
      let end = since.advanced(by: timeout)
      guard end > time else { return true }
      due = min(due, end)
      return false
    }
    var reason: CloseReason?
    switch connection.pointee.phase {
    case .connecting:
      if isOver(connection.pointee.began, limits.connectTimeout) { reason = .connectTimeout }
    case .lingering:
      if isOver(connection.pointee.began, limits.lingerTimeout) { reason = connection.pointee.reason }
    case .open, .flushing:
      if !connection.pointee.output.isEmpty, isOver(connection.pointee.lastWritten, limits.writeTimeout) {
        reason = .slowReader
      } else if !connection.pointee.hasReceived, isOver(connection.pointee.began, limits.firstByteTimeout) {
        reason = .firstByteTimeout
      } else if !connection.pointee.input.isEmpty, !connection.pointee.wantsParse,
        !connection.pointee.isReadingPaused, !connection.pointee.isOverHighWater,
        isOver(connection.pointee.incompleteSince, limits.frameTimeout)
      {
        reason = .slowWriter
      } else if isOver(connection.pointee.lastActivity, limits.idleTimeout) {
        if handler?.mayCloseIdle(handle) ?? true {
          reason = .idle
        } else {
          due = min(due, time.advanced(by: .seconds(1)))
        }
      }
      // What is not waited for now may begin at any moment: an incomplete frame, output that does not move.
      for timeout in [limits.frameTimeout, limits.writeTimeout] where timeout > .zero {
        due = min(due, time.advanced(by: timeout))
      }
    case .closing, .free: return
    }
    if let reason {
      close(handle, reason: reason, afterFlush: false)
    } else if due < .distantFuture {
      wheel.insert(.connection(handle), at: due)
    }
  }

  private func fire(_ timer: Timer) {
    switch timer {
    case .connection(let handle): watchTimeouts(handle)
    case .handler(let token): handler?.timerFired(token: token, now: time)
    case .listener(let descriptor):
      guard let listener = listeners[descriptor] else { return }
      poller.watch(descriptor, token: Self.listenerBit | UInt64(descriptor), interest: .read)
      listener.accept()
    }
  }
}

extension Reactor: PollerDelegate {
  func roundBegan() {
    time = .now()
    for work in mailbox.take() { work() }
    swap(&parsing, &parsingNow)
    for handle in parsingNow {
      guard let connection = slab.find(handle) else { continue }
      connection.pointee.wantsParse = false
      parse(connection, handle)
    }
    parsingNow.removeAll(keepingCapacity: true)
  }

  func ready(token: UInt64, readable: Bool, writable: Bool, failed: Bool) {
    if token & Self.listenerBit != 0 {
      listeners[Int32(truncatingIfNeeded: token)]?.accept()
      return
    }
    let slot = UInt32(truncatingIfNeeded: token)
    guard Int(slot) < slab.slots else { return }
    let connection = slab[slot]
    // An event of a descriptor whose connection ended earlier in the round.
    guard connection.pointee.phase != .free, connection.pointee.generation & 0x7fff_ffff == UInt32(token >> 32) else {
      return
    }
    let handle = ConnectionHandle(slot: slot, generation: connection.pointee.generation)
    if connection.pointee.phase == .connecting {
      if writable || failed { finishConnecting(connection, handle) }
      return
    }
    if readable || (failed && !connection.pointee.isPeerFinished) { read(connection, handle) }
    if failed, connection.pointee.isPeerFinished || connection.pointee.phase == .flushing {
      return close(handle, reason: .reset(ECONNRESET), afterFlush: false)
    }
    if writable { markDirty(connection, handle) }
  }

  private func finishConnecting(_ connection: UnsafeMutablePointer<Connection>, _ handle: ConnectionHandle) {
    var error: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    getsockopt(connection.pointee.descriptor, SOL_SOCKET, SO_ERROR, &error, &size)
    guard error == 0 else { return close(handle, reason: .connectFailed(error), afterFlush: false) }
    connection.pointee.phase = .open
    connection.pointee.hasReceived = true
    connection.pointee.began = time
    connection.pointee.lastActivity = time
    updateInterest(connection, handle)
    handler?.opened(handle, peer: connection.pointee.peer)
  }

  func roundEnded() -> PollerWait {
    for timer in wheel.expire(now: time) { fire(timer) }
    let isWorkLeft = handler?.roundEnded(now: time) ?? false
    // Ends may be followed by more output (a last answer) and output by ends (a write that fails).
    while !dirty.isEmpty || !closing.isEmpty {
      while let handle = dirty.popLast() {
        guard let connection = slab.find(handle) else { continue }
        connection.pointee.isDirty = false
        if connection.pointee.phase == .open || connection.pointee.phase == .flushing { flush(connection, handle) }
      }
      endClosings()
    }
    let took = MonotonicTime.now().nanoseconds(since: time)
    statistics.loop.observe(took)
    statistics.busyNanoseconds.add(took)
    if isStopping.load(ordering: .acquiring) { shutDown() }
    if isWorkLeft || !parsing.isEmpty { return .none }
    return wheel.next.map { .until($0) } ?? .forever
  }

  /// Ends everything; the poller's loop is over after this round.
  private func shutDown() {
    for work in mailbox.close() { work() }
    for descriptor in Array(listeners.keys) { closeListener(descriptor) }
    for slot in 0..<UInt32(slab.slots) where slab[slot].pointee.phase != .free {
      let handle = ConnectionHandle(slot: slot, generation: slab[slot].pointee.generation)
      close(handle, reason: .local, afterFlush: false)
    }
    endClosings()
    poller.end()
  }

  func pollerEnded() { ended.signal() }
}
