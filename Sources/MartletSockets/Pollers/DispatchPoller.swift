import Dispatch
import MartletCore

/// Readiness from one or two `DispatchSource`s a descriptor, for systems without `epoll`.
///
/// A serial queue is the thread. A source's handler only notes its event; the first one of a round queues the block that
/// delivers the round, so what became ready meanwhile is in it. `@unchecked Sendable`: everything that changes is used
/// on `queue` alone.
final class DispatchPoller: Poller, @unchecked Sendable {
  private final class Registration {
    let descriptor: Int32
    var token: UInt64
    var read: (any DispatchSourceRead)?
    var write: (any DispatchSourceWrite)?
    /// Sources start suspended; the counts of suspend and resume must be even at the end.
    var armed: PollInterest = []

    init(descriptor: Int32, token: UInt64) {
      self.descriptor = descriptor
      self.token = token
    }
  }

  private let queue = DispatchQueue(label: "martlet.reactor", qos: .userInteractive)
  private let onQueue = DispatchSpecificKey<Bool>()
  private let finished = DispatchGroup()
  private var delegate: (any RoundDelegate)?
  private var registrations: [Int32: Registration] = [:]
  /// Those whose peer has ended: each round tells of them until they are read no more.
  private var ended: [Int32: Registration] = [:]
  private var timer: (any DispatchSourceTimer)?
  private var timerDeadline = MonotonicTime.distantFuture
  private var gathered: [PollEvent] = []
  private var delivered: [PollEvent] = []
  private var roundQueued = false
  /// Descriptors whose sources are not yet cancelled to the end.
  private var closing = 0

  init() { queue.setSpecific(key: onQueue, value: true) }

  func start(name: String, delegate: any RoundDelegate) throws(Status) {
    finished.enter()
    nonisolated(unsafe) let delegate = delegate  // Handed over: from here on only the queue calls it.
    queue.async { [self] in
      self.delegate = delegate
      runRound()
    }
  }

  func wake() { queue.async { [self] in queueRound() } }

  func join() { finished.wait() }

  var isCurrent: Bool { DispatchQueue.getSpecific(key: onQueue) == true }

  func add(_ descriptor: Int32, token: UInt64, interest: PollInterest) -> Bool {
    registrations[descriptor] = Registration(descriptor: descriptor, token: token)
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
  }

  func close(_ descriptor: consuming FileDescriptor) {
    let number = descriptor.rawValue
    guard let registration = registrations.removeValue(forKey: number) else { return }
    ended[number] = nil
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

  private func makeReadSource(_ registration: Registration) -> any DispatchSourceRead {
    let source = DispatchSource.makeReadSource(fileDescriptor: registration.descriptor, queue: queue)
    source.setEventHandler { [self, registration] in
      // Nothing to read is the peer's end. On a hang-up the source never fires again, however much is still unread.
      if registration.read?.data == 0 { ended[registration.descriptor] = registration }
      note(registration, .readable)
    }
    registration.read = source
    return source
  }

  private func makeWriteSource(_ registration: Registration) -> any DispatchSourceWrite {
    let source = DispatchSource.makeWriteSource(fileDescriptor: registration.descriptor, queue: queue)
    source.setEventHandler { [self, registration] in note(registration, .writable) }
    registration.write = source
    return source
  }

  private func note(_ registration: Registration, _ readiness: PollEvent.Readiness) {
    // A source fires again as long as nothing is read: once a round is enough.
    if let last = gathered.last, last.token == registration.token, last.readiness == readiness { return }
    gathered.append(PollEvent(token: registration.token, readiness: readiness))
    queueRound()
  }

  private func queueRound() {
    guard !roundQueued, delegate != nil else { return }
    roundQueued = true
    queue.async { [self] in runRound() }
  }

  private func runRound() {
    roundQueued = false
    guard let delegate else { return }
    swap(&gathered, &delivered)
    let wait = delivered.withUnsafeBufferPointer { delegate.round($0) }
    delivered.removeAll(keepingCapacity: true)
    for registration in ended.values where registration.armed.contains(.read) { note(registration, .readable) }
    switch wait {
    case .none: queueRound()
    case .nanoseconds(let nanoseconds): setTimer(nanoseconds)
    case .forever: break
    case .stop:
      self.delegate = nil
      gathered = []
      timer?.cancel()
      timer = nil
      finishIfDone()
    }
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
      queueRound()
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
