import Dispatch
import Glibc
import MartletCore

/// Readiness from one `DispatchSource`: a serial queue is the thread, and the source watches the set of descriptors,
/// not the descriptors.
///
/// On Linux, sources that come and go with connections crash libdispatch: it frees its notes of a descriptor while
/// its event loop still has them (swift-corelibs-libdispatch, issue 949), seen once in some tens of thousands of
/// connections. A source on the set itself is registered once, and a round takes all that is ready at its moment.
/// Elsewhere the set would be another one (`kqueue`); the rest of this file knows nothing of it.
///
/// `@unchecked Sendable`: everything that changes is used on `queue` alone.
final class DispatchPoller: Poller, @unchecked Sendable {
  private let queue = DispatchQueue(label: "martlet.reactor", qos: .userInteractive)
  private let onQueue = DispatchSpecificKey<Bool>()
  private let finished = DispatchGroup()
  private let set = EpollSet()
  private var round = EpollRound()
  private var delegate: (any RoundDelegate)?
  private var source: (any DispatchSourceRead)?
  private var timer: (any DispatchSourceTimer)?
  private var timerDeadline = MonotonicTime.distantFuture
  private var isRoundQueued = false

  let hasEdges = false

  init() { queue.setSpecific(key: onQueue, value: true) }

  func start(name: String, delegate: any RoundDelegate) throws(Status) {
    guard set.descriptor >= 0 else {
      throw Status(.resourceExhausted, "cannot start \(name): epoll: \(errorText(set.creationError))")
    }
    finished.enter()
    nonisolated(unsafe) let delegate = delegate  // Handed over: from here on only the queue calls it.
    queue.async { [self] in
      self.delegate = delegate
      let source = DispatchSource.makeReadSource(fileDescriptor: set.descriptor, queue: queue)
      source.setEventHandler { [self] in runRound(isForced: false) }
      // The set's descriptor stays open until the system does not look at it any more.
      source.setCancelHandler { [self] in
        self.source = nil
        finished.leave()
      }
      self.source = source
      source.activate()
      runRound(isForced: true)
    }
  }

  func wake() { queue.async { [self] in queueRound() } }

  func join() { finished.wait() }

  var isCurrent: Bool { DispatchQueue.getSpecific(key: onQueue) == true }

  func add(_ descriptor: Int32, token: UInt64, interest: PollInterest) -> Bool {
    set.add(descriptor, token: token, events: EpollSet.events(interest))
  }

  func update(_ descriptor: Int32, token: UInt64, interest: PollInterest) {
    set.update(descriptor, token: token, events: EpollSet.events(interest))
  }

  func forget(_ descriptor: Int32) { set.remove(descriptor) }

  // Closing the only descriptor of a socket takes it out of the set.
  func close(_ descriptor: consuming FileDescriptor) {}

  private func queueRound() {
    guard delegate != nil, !isRoundQueued else { return }
    isRoundQueued = true
    queue.async { [self] in
      isRoundQueued = false
      runRound(isForced: true)
    }
  }

  /// - Parameter isForced: whether the round is wanted even when nothing is ready: the first, a wake-up, the timer,
  ///   work left.
  private func runRound(isForced: Bool) {
    guard let delegate else { return }
    let events = round.wait(set, timeout: 0, ignored: .max)
    // The source fired for what a round before this one has read.
    guard isForced || !events.isEmpty else { return }
    switch delegate.round(events) {
    case .none: queueRound()
    case .nanoseconds(let nanoseconds): setTimer(nanoseconds)
    case .forever: break
    case .stop:
      self.delegate = nil
      timer?.cancel()
      timer = nil
      source?.cancel()
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
}
