import Dispatch
import Glibc
import MartletCore

/// Readiness from one or two `DispatchSource`s a descriptor, for systems without `epoll`.
///
/// A serial queue is the thread. Dispatch tells of ready descriptors one by one, at moments of its own, so its sources
/// only say that a round is due: the round asks `poll` for everything that is ready at that moment. That makes it whole,
/// at a cost that grows with the descriptors watched. `@unchecked Sendable`: everything that changes is used on `queue`
/// alone.
final class DispatchPoller: Poller, @unchecked Sendable {
  private final class Registration {
    let descriptor: Int32
    var token: UInt64
    /// Where `watched` and `polled` have it.
    var index: Int
    var read: (any DispatchSourceRead)?
    var write: (any DispatchSourceWrite)?
    /// Sources start suspended; the counts of suspend and resume must be even at the end.
    var armed: PollInterest = []

    init(descriptor: Int32, token: UInt64, index: Int) {
      self.descriptor = descriptor
      self.token = token
      self.index = index
    }
  }

  private let queue = DispatchQueue(label: "martlet.reactor", qos: .userInteractive)
  private let onQueue = DispatchSpecificKey<Bool>()
  private let finished = DispatchGroup()
  private var delegate: (any RoundDelegate)?
  private var registrations: [Int32: Registration] = [:]
  /// The same in the order of `polled`, which is what `poll` is asked.
  private var watched: [Registration] = []
  private var polled: [pollfd] = []
  private var timer: (any DispatchSourceTimer)?
  private var timerDeadline = MonotonicTime.distantFuture
  private var events: [PollEvent] = []
  private var roundQueued = false
  /// Whether the queued round is wanted even when nothing is ready: the first, a wake-up, the timer, work left.
  private var roundForced = false
  /// Descriptors whose sources are not yet cancelled to the end.
  private var closing = 0

  init() { queue.setSpecific(key: onQueue, value: true) }

  func start(name: String, delegate: any RoundDelegate) throws(Status) {
    finished.enter()
    nonisolated(unsafe) let delegate = delegate  // Handed over: from here on only the queue calls it.
    queue.async { [self] in
      self.delegate = delegate
      roundForced = true
      runRound()
    }
  }

  func wake() { queue.async { [self] in queueRound(forced: true) } }

  func join() { finished.wait() }

  var isCurrent: Bool { DispatchQueue.getSpecific(key: onQueue) == true }

  func add(_ descriptor: Int32, token: UInt64, interest: PollInterest) -> Bool {
    let registration = Registration(descriptor: descriptor, token: token, index: watched.count)
    registrations[descriptor] = registration
    watched.append(registration)
    polled.append(pollfd(fd: descriptor, events: 0, revents: 0))
    update(descriptor, token: token, interest: interest)
    return true
  }

  func update(_ descriptor: Int32, token: UInt64, interest: PollInterest) {
    guard let registration = registrations[descriptor] else { return }
    registration.token = token
    if interest.contains(.read) != registration.armed.contains(.read) {
      let source = registration.read ?? makeReadSource(registration)
      if interest.contains(.read) { source.resume() } else { source.suspend() }
    }
    if interest.contains(.write) != registration.armed.contains(.write) {
      let source = registration.write ?? makeWriteSource(registration)
      if interest.contains(.write) { source.resume() } else { source.suspend() }
    }
    registration.armed = interest
    let wanted = (interest.contains(.read) ? POLLIN : 0) | (interest.contains(.write) ? POLLOUT : 0)
    polled[registration.index].events = Int16(wanted)
  }

  func close(_ descriptor: consuming FileDescriptor) {
    let number = descriptor.rawValue
    guard let registration = registrations.removeValue(forKey: number) else { return }
    stopPolling(registration)
    let sources = [registration.read as (any DispatchSourceProtocol)?, registration.write].compactMap { $0 }
    guard !sources.isEmpty else { return }
    // The system may look at the descriptor until the last source has run its cancel handler.
    let owned = descriptor.release()
    closing += 1
    var remaining = sources.count
    for source in sources {
      source.setCancelHandler { [self] in
        remaining -= 1
        guard remaining == 0 else { return }
        _ = FileDescriptor(owning: owned)
        closing -= 1
        finishIfDone()
      }
    }
    if let read = registration.read, !registration.armed.contains(.read) { read.resume() }
    if let write = registration.write, !registration.armed.contains(.write) { write.resume() }
    for source in sources { source.cancel() }
  }

  /// Takes a registration out of what is polled; the last one moves to its place.
  private func stopPolling(_ registration: Registration) {
    let index = registration.index
    watched.swapAt(index, watched.count - 1)
    polled.swapAt(index, polled.count - 1)
    watched[index].index = index
    watched.removeLast()
    polled.removeLast()
  }

  private func makeReadSource(_ registration: Registration) -> any DispatchSourceRead {
    let source = DispatchSource.makeReadSource(fileDescriptor: registration.descriptor, queue: queue)
    source.setEventHandler { [self] in queueRound(forced: false) }
    registration.read = source
    return source
  }

  private func makeWriteSource(_ registration: Registration) -> any DispatchSourceWrite {
    let source = DispatchSource.makeWriteSource(fileDescriptor: registration.descriptor, queue: queue)
    source.setEventHandler { [self] in queueRound(forced: false) }
    registration.write = source
    return source
  }

  private func queueRound(forced: Bool) {
    guard delegate != nil else { return }
    if forced { roundForced = true }
    guard !roundQueued else { return }
    roundQueued = true
    queue.async { [self] in runRound() }
  }

  private func runRound() {
    roundQueued = false
    guard let delegate else { return }
    let isHungUp = gather()
    // A source that fired for what an earlier round has read by now.
    guard roundForced || !events.isEmpty else { return }
    roundForced = false
    let wait = events.withUnsafeBufferPointer { delegate.round($0) }
    events.removeAll(keepingCapacity: true)
    // After a hang-up a source never fires again, however much is still unread.
    if isHungUp { queueRound(forced: false) }
    switch wait {
    case .none: queueRound(forced: true)
    case .nanoseconds(let nanoseconds): setTimer(nanoseconds)
    case .forever: break
    case .stop:
      self.delegate = nil
      timer?.cancel()
      timer = nil
      finishIfDone()
    }
  }

  /// Fills `events` with all that is ready now; true when a peer has hung up.
  private func gather() -> Bool {
    let count = polled.withUnsafeMutableBufferPointer { poll($0.baseAddress, nfds_t($0.count), 0) }
    guard count != 0 else { return false }
    var isHungUp = false
    for index in 0..<polled.count {
      // Where the system cannot tell (no memory), all may be ready: an event may be wrong, none may be missed.
      let returned = Int32(count < 0 ? polled[index].events : polled[index].revents)
      guard returned != 0 else { continue }
      var readiness: PollEvent.Readiness = []
      if returned & POLLIN != 0 { readiness.insert(.readable) }
      if returned & POLLOUT != 0 { readiness.insert(.writable) }
      if returned & (POLLHUP | POLLERR) != 0 {
        readiness.insert(.hangup)
        isHungUp = true
      }
      events.append(PollEvent(token: watched[index].token, readiness: readiness))
    }
    return isHungUp
  }

  private func setTimer(_ nanoseconds: UInt64) {
    let now = MonotonicTime.now()
    let deadline = now.advanced(byNanoseconds: nanoseconds)
    // A timer that fires too early costs one empty round, less than setting it anew each time.
    guard deadline < timerDeadline || timerDeadline < now else { return }
    timerDeadline = deadline
    let timer = self.timer ?? makeTimer()
    timer.schedule(deadline: .now() + .nanoseconds(Int(min(nanoseconds, 1 << 60))), leeway: .nanoseconds(0))
  }

  private func makeTimer() -> any DispatchSourceTimer {
    let timer = DispatchSource.makeTimerSource(queue: queue)
    timer.setEventHandler { [self] in
      timerDeadline = .distantFuture
      queueRound(forced: true)
    }
    timer.schedule(deadline: .distantFuture)
    timer.activate()
    self.timer = timer
    return timer
  }

  private func finishIfDone() {
    if delegate == nil, closing == 0 { finished.leave() }
  }
}
