import CLinux
import Glibc

/// Descriptors that are watched together: an `epoll` instance, which closes with its owner.
final class EpollSet: Sendable {
  /// The instance's own descriptor, readable while one of the set is ready. Negative when the system had none left.
  let descriptor: Int32
  /// Why there is no instance.
  let creationError: Int32

  init() {
    descriptor = epoll_create1(Int32(EPOLL_CLOEXEC))
    creationError = descriptor < 0 ? errno : 0
  }

  deinit {
    if descriptor >= 0 { _ = Glibc.close(descriptor) }
  }

  /// Registers a descriptor; false when the system refuses, and `errno` says why.
  func add(_ watched: Int32, token: UInt64, events: UInt32) -> Bool {
    control(EPOLL_CTL_ADD, watched, token, events)
  }

  func update(_ watched: Int32, token: UInt64, events: UInt32) {
    // A registered descriptor can be changed: the call allocates nothing.
    _ = control(EPOLL_CTL_MOD, watched, token, events)
  }

  func remove(_ watched: Int32) { _ = control(EPOLL_CTL_DEL, watched, 0, 0) }

  private func control(_ operation: Int32, _ watched: Int32, _ token: UInt64, _ events: UInt32) -> Bool {
    var event = epoll_event()
    event.events = events
    event.data.u64 = token
    return epoll_ctl(descriptor, operation, watched, &event) == 0
  }

  static func events(_ interest: PollInterest) -> UInt32 {
    (interest.contains(.read) ? EPOLLIN.rawValue : 0) | (interest.contains(.write) ? EPOLLOUT.rawValue : 0)
      | (interest.contains(.edge) ? EPOLLET.rawValue | EPOLLRDHUP.rawValue : 0)
  }
}

/// One round's events of an `EpollSet`. Belongs to the poller's thread.
struct EpollRound: ~Copyable {
  private static let limit = 256
  private let raw = UnsafeMutablePointer<epoll_event>.allocate(capacity: limit)
  private let events = UnsafeMutablePointer<PollEvent>.allocate(capacity: limit)

  deinit {
    raw.deallocate()
    events.deallocate()
  }

  /// Waits at most `timeout` milliseconds, for ever when negative. The events are valid until the next wait; those of
  /// `ignored` are left out.
  mutating func wait(_ set: EpollSet, timeout: Int32, ignored: UInt64) -> UnsafeBufferPointer<PollEvent> {
    var ready = epoll_wait(set.descriptor, raw, Int32(Self.limit), timeout)
    // A failure can only be EINTR, after SIGCONT for example: what is ready comes before timers that are late by then.
    if ready < 0 { ready = epoll_wait(set.descriptor, raw, Int32(Self.limit), 0) }
    var count = 0
    for index in 0..<max(0, Int(ready)) {
      let token = raw[index].data.u64
      guard token != ignored else { continue }
      events.advanced(by: count).initialize(to: PollEvent(token: token, readiness: Self.readiness(raw[index].events)))
      count += 1
    }
    return UnsafeBufferPointer(start: events, count: count)
  }

  private static func readiness(_ events: UInt32) -> PollEvent.Readiness {
    var readiness: PollEvent.Readiness = []
    if events & EPOLLIN.rawValue != 0 { readiness.insert(.readable) }
    if events & EPOLLOUT.rawValue != 0 { readiness.insert(.writable) }
    if events & EPOLLRDHUP.rawValue != 0 { readiness.insert(.finished) }
    if events & (EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0 { readiness.insert(.hangup) }
    return readiness
  }
}
