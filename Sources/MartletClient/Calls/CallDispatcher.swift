import Dispatch
import Glibc
import MartletCore
import MartletSockets

/// Brings calls to servers: chooses the connection, holds what has to wait, tries again, ends what is late.
///
/// Everything here runs on the channel's thread. Calls in, results out through each call's `finish`.
final class CallDispatcher: @unchecked Sendable {
  // Unchecked: confined to the channel's thread after `start`; other threads reach it by `channel.post` only.

  let channel: CallChannel
  private let configuration: ClientConfiguration
  private let servers: [ServerURL]
  private var calls: [UInt64: PendingCall] = [:]
  /// Calls that wait for a connection with room, in order, from `firstWaiting` on; ids of calls that have ended are
  /// passed over.
  private var waiting: [UInt64] = []
  private var firstWaiting = 0
  private var timers = TimerQueue()
  /// The earliest moment that the reactor was asked to wake us at.
  private var armedFor = MonotonicTime.distantFuture
  private var pool = ConnectionPool()
  private var balancer: RoundRobinBalancer
  private var isLookingUp = false
  private var lastLookUp: MonotonicTime?
  private var isClosed = false

  init(servers: [ServerURL], configuration: ClientConfiguration) {
    self.servers = servers
    self.configuration = configuration
    balancer = RoundRobinBalancer(policy: configuration.ejection)
    var limits = SocketLimits()
    limits.connectTimeout = configuration.connectTimeout
    channel = CallChannel(limits: limits)
  }

  // MARK: A call's way

  func submit(_ call: PendingCall) {
    guard !isClosed else {
      call.finish?(.failure(ClientError(.cancelled, "the client is closed")))
      return
    }
    guard !call.isCancelled.load(ordering: .acquiring) else {
      call.finish?(.failure(ClientError(.cancelled, "the call was cancelled before it was sent")))
      return
    }
    guard waiting.count - firstWaiting < configuration.maximumWaitingCalls else {
      call.finish?(
        .failure(
          ClientError(
            .resourceExhausted, "\(waiting.count - firstWaiting) calls wait in this client, and no more may wait")))
      return
    }
    calls[call.id] = call
    if call.deadline < .distantFuture {
      timers.add(TimerQueue.Entry(time: call.deadline, call: call.id, purpose: .deadline))
      timers.compact(live: calls.count) { calls[$0.call] != nil }
    }
    dispatch(call)
    arm()
  }

  func cancel(_ id: UInt64) {
    end(id, .failure(ClientError(.cancelled, "the call was cancelled")))
  }

  /// Ends every call; what comes later is refused.
  func close() {
    isClosed = true
    for id in calls.keys.sorted() { end(id, .failure(ClientError(.cancelled, "the client was closed"))) }
    for connection in pool.all { channel.close(connection.handle) }
  }

  private func dispatch(_ call: PendingCall) {
    if waiting.isEmpty && place(call) { return }
    call.state = .waiting
    waiting.append(call.id)
    refuseWaitingWithoutProspect()
  }

  /// Sends the call when a connection has room, and opens connections where they are wanted.
  private func place(_ call: PendingCall) -> Bool {
    let now = MonotonicTime.now()
    if balancer.endpoints.isEmpty { lookUp(now) }
    for id in balancer.candidates(now: now, avoiding: call.endpoint) {
      let usable = pool.usable(id)
      let best = usable.min { channel.callsInFlight(on: $0.handle) < channel.callsInFlight(on: $1.handle) }
      let load = best.map { channel.callsInFlight(on: $0.handle) }
      if load ?? 1 > 0, usable.count < configuration.connectionsPerAddress, !pool.isConnecting(id) { open(id, now) }
      guard let best, let load, load < configuration.maximumCallsInFlightPerConnection else { continue }
      if send(call, on: best, now) { return true }
    }
    return false
  }

  private func send(_ call: PendingCall, on connection: ConnectionPool.Pooled, _ now: MonotonicTime) -> Bool {
    let timeout: Duration? =
      call.deadline == .distantFuture
      ? nil : .nanoseconds(Int64(clamping: max(1, call.deadline.nanoseconds(since: now))))
    let frame: CallFrame
    do throws(Status) {
      frame = try CallFrame(method: call.method, payload: call.payload, timeout: timeout)
    } catch {
      end(call.id, .failure(ClientError(error.code, error.message)))
      return true
    }
    switch channel.send(frame, call: call.id, on: connection.handle) {
    case .sent(let stream):
      call.state = .inFlight(connection.handle, stream: stream)
      call.endpoint = connection.endpoint
      return true
    case .exhausted:
      pool.retire(connection.handle, now: now)
      closeIfDone(connection.handle)
      return false
    case .full, .notOpen: return false
    }
  }

  /// Places what waits, in order, as far as there is room.
  private func drain() {
    while firstWaiting < waiting.count {
      if let call = calls[waiting[firstWaiting]], case .waiting = call.state, !place(call) { break }
      firstWaiting += 1
    }
    // Moving the rest forward each time would cost as much as there is; this way it is a constant a call.
    if firstWaiting * 2 >= waiting.count {
      waiting.removeFirst(firstWaiting)
      firstWaiting = 0
    }
  }

  private func end(_ id: UInt64, _ result: Result<[UInt8], ClientError>) {
    guard let call = calls.removeValue(forKey: id) else { return }
    if case .inFlight(let handle, let stream) = call.state {
      channel.forget(stream: stream, on: handle)
      closeIfDone(handle)
    }
    let finish = call.finish
    call.finish = nil
    finish?(result)
  }

  private func attemptFailed(_ call: PendingCall, _ failure: RetryPolicy.Failure, _ error: ClientError) {
    let now = MonotonicTime.now()
    call.failedAttempts += 1
    let time = call.retry.nextAttempt(
      after: failure, attempts: call.failedAttempts, isIdempotent: call.method.isIdempotent, now: now,
      deadline: call.deadline, atLeast: error.retryAfter?.wholeNanoseconds ?? 0, jitter: .random(in: 0...1))
    guard let time else {
      var final = error
      if call.failedAttempts > 1 { final.message += " (after \(call.failedAttempts) attempts)" }
      if case .lost = failure, !call.method.isIdempotent {
        final.message += "; whether the call was executed is not known"
      }
      end(call.id, .failure(final))
      return
    }
    call.state = .backingOff
    timers.add(TimerQueue.Entry(time: time, call: call.id, purpose: .retry))
    arm()
  }

  // MARK: Connections and addresses

  private func open(_ id: Int, _ now: MonotonicTime) {
    guard !isClosed, let endpoint = balancer.endpoint(id) else { return }
    let address = ServerURL.text(of: endpoint.address)
    do throws(Status) {
      let handle = try channel.connect(to: endpoint.address)
      pool.add(ConnectionPool.Pooled(handle: handle, endpoint: id, address: address))
    } catch {
      balancer.failed(id, atOnce: true, now: now)
      lastConnectError = ClientError(error.code, error.message, address: address, origin: .connection)
    }
  }

  private var lastConnectError: ClientError?

  /// Ends the attempts of all that wait when there is no connection to wait for.
  private func refuseWaitingWithoutProspect() {
    guard !waiting.isEmpty, !pool.hasProspect, !isLookingUp else { return }
    let error =
      lastConnectError ?? ClientError(.unavailable, "no server can be reached", address: nil, origin: .connection)
    let refused = waiting[firstWaiting...]
    waiting = []
    firstWaiting = 0
    for id in refused {
      guard let call = calls[id], case .waiting = call.state else { continue }
      attemptFailed(call, .notSent, error)
    }
  }

  private func closeIfDone(_ handle: ConnectionHandle) {
    guard let connection = pool[handle], connection.isRetiring, channel.callsInFlight(on: handle) == 0 else { return }
    channel.close(handle)
  }

  /// Asks for the addresses behind the servers' names, on another thread when that may block.
  private func lookUp(_ now: MonotonicTime) {
    guard !isLookingUp, !isClosed else { return }
    lastLookUp = now
    guard servers.contains(where: \.needsLookUp) else {
      found(CallDispatcher.resolve(servers))
      return
    }
    isLookingUp = true
    let servers = servers
    DispatchQueue.global().async { [self] in
      let result = CallDispatcher.resolve(servers)
      channel.post { [self] in
        isLookingUp = false
        found(result)
        if !balancer.endpoints.isEmpty { drain() }
        refuseWaitingWithoutProspect()
        arm()
      }
    }
  }

  private static func resolve(_ servers: [ServerURL]) -> (addresses: [SocketAddress], error: ClientError?) {
    var addresses: [SocketAddress] = []
    var failure: ClientError?
    for server in servers {
      do throws(ClientError) {
        addresses += try server.resolve()
      } catch {
        failure = error
      }
    }
    return (addresses, failure)
  }

  private func found(_ result: (addresses: [SocketAddress], error: ClientError?)) {
    if result.addresses.isEmpty { lastConnectError = result.error }
    // A lookup that failed says nothing about addresses that were good before.
    guard !result.addresses.isEmpty, !isClosed else { return }
    for gone in balancer.replace(with: result.addresses) {
      for handle in pool.retireAll(gone) { closeIfDone(handle) }
    }
  }

  // MARK: Time

  /// Asks the reactor to wake us at the earliest timer, unless it will anyway.
  private func arm() {
    guard let earliest = timers.earliest, earliest < armedFor else { return }
    armedFor = earliest
    channel.schedule(at: earliest, token: 0)
  }
}

extension CallDispatcher: CallChannelDelegate {
  func connected(_ handle: ConnectionHandle) {
    pool.opened(handle)
    lastConnectError = nil
    drain()
    refuseWaitingWithoutProspect()
    arm()
  }

  func completed(_ completion: CallCompletion, payload: RawSpan, message: RawSpan) {
    pool.answered(completion.connection)
    let connection = pool[completion.connection]
    defer {
      closeIfDone(completion.connection)
      drain()
      refuseWaitingWithoutProspect()
    }
    guard let call = calls[completion.call] else { return }
    // The stream has ended; there is nothing to forget on its connection.
    call.state = .backingOff
    let code = StatusCode(rawValue: completion.code) ?? .unknown
    guard code != .ok else {
      if let connection { balancer.succeeded(connection.endpoint) }
      end(call.id, .success(payload.withUnsafeBytes { Array($0) }))
      return
    }
    // A message for people: a screenful at most, whatever a peer sends.
    var text = message.withUnsafeBytes { String(decoding: $0.prefix(4096), as: UTF8.self) }
    if code == .unknown { text = "status \(completion.code): \(text)" }
    var error = ClientError(code, text, address: connection?.address, origin: .server)
    if completion.retryNanoseconds > 0 { error.retryAfter = .nanoseconds(Int64(clamping: completion.retryNanoseconds)) }
    if code == .unavailable, let connection {
      balancer.failed(connection.endpoint, atOnce: false, now: MonotonicTime.now())
      pool.retire(connection.handle, now: MonotonicTime.now())
    } else if let connection {
      balancer.succeeded(connection.endpoint)
    }
    attemptFailed(call, .answered(code), error)
  }

  func lost(call id: UInt64, on handle: ConnectionHandle, reason: CloseReason) {
    guard let call = calls[id] else { return }
    call.state = .backingOff
    let address = pool[handle]?.address
    attemptFailed(
      call, .lost,
      ClientError(
        .unavailable, "the connection ended before the answer came: \(reason.explanation)", address: address,
        origin: .connection))
  }

  func closed(_ handle: ConnectionHandle, reason: CloseReason) {
    guard let connection = pool.remove(handle), !isClosed else { return }
    let now = MonotonicTime.now()
    // A server that takes a connection and ends it without a word is as little use as one that refuses it.
    let isFailure = !connection.hasAnswered && !connection.isRetiring
    if isFailure {
      balancer.failed(connection.endpoint, atOnce: true, now: now)
      let what = connection.isOpen ? "the connection ended at once" : "cannot connect"
      lastConnectError = ClientError(
        .unavailable, "\(what): \(reason.explanation)", address: connection.address, origin: .connection)
      // The name may stand for other addresses by now.
      let isOld = lastLookUp.map { now.nanoseconds(since: $0) > 10_000_000_000 } ?? true
      if isOld, servers.contains(where: \.needsLookUp) { lookUp(now) }
    }
    // After a failure only addresses that are not ejected are tried at once; the others have to wait for the calls'
    // next attempts, or a refused connection would be followed by another without a pause.
    if !isFailure || balancer.endpoints.contains(where: { $0.ejectedUntil.map { $0 <= now } ?? true }) { drain() }
    refuseWaitingWithoutProspect()
    arm()
  }

  func timerFired(token: UInt64, now: MonotonicTime) {
    armedFor = .distantFuture
    while let due = timers.popDue(now: now) {
      guard let call = calls[due.call] else { continue }
      switch due.purpose {
      case .deadline:
        let address: String? =
          if case .inFlight(let handle, _) = call.state { pool[handle]?.address } else { nil }
        let after = lastConnectError.map { "; last: \($0.message)" } ?? ""
        let state = if case .inFlight = call.state { "no answer came in time" } else { "it could not be sent in time" }
        end(call.id, .failure(ClientError(.deadlineExceeded, state + after, address: address)))
      case .retry:
        guard case .backingOff = call.state else { continue }
        dispatch(call)
      }
    }
    arm()
  }
}

extension CloseReason {
  /// For people.
  fileprivate var explanation: String {
    switch self {
    case .peerClosed: "the server closed it"
    case .reset(let code): String(cString: strerror(code))
    case .connectFailed(let code): String(cString: strerror(code))
    case .connectTimeout: "no answer within the connection timeout"
    case .protocolError: "the server does not speak ttrpc"
    case .idle: "it was idle"
    case .slowReader: "the server does not read what it is sent"
    case .readBufferFull, .slowWriter: "the server sent half an answer"
    case .memory: "the buffers of all connections are full"
    case .firstByteTimeout, .drained, .local: "it was closed by this side"
    }
  }
}
