import CLinux
import Dispatch
import Foundation
import Glibc
import MartletCore
import Synchronization

/// Level-triggered `epoll` on a thread of its own, woken through one `eventfd`.
///
/// `@unchecked Sendable`: the descriptors never change, `thread` is atomic, the buffers belong to the loop's thread.
final class EpollPoller: Poller, @unchecked Sendable {
  private static let maxEvents = 256
  private static let wakeToken = UInt64.max

  private let epoll: Int32
  // Stays open until nobody holds the poller: a late `wake` must not write into somebody else's descriptor.
  private let wakeup: Int32
  private let creationError: Int32
  private let thread = Atomic<UInt>(0)
  private let finished = DispatchGroup()

  init() {
    epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
    let epollError = errno
    wakeup = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
    creationError = epoll < 0 ? epollError : wakeup < 0 ? errno : 0
  }

  deinit {
    if epoll >= 0 { _ = Glibc.close(epoll) }
    if wakeup >= 0 { _ = Glibc.close(wakeup) }
  }

  func start(name: String, delegate: any RoundDelegate) throws(Status) {
    // Edge-triggered: every write is a new edge, so the counter never has to be read.
    guard creationError == 0, control(EPOLL_CTL_ADD, wakeup, Self.wakeToken, EPOLLIN.rawValue | EPOLLET.rawValue) else {
      let error = creationError == 0 ? errno : creationError
      throw Status(.resourceExhausted, "cannot start \(name): epoll: \(errorText(error))")
    }
    finished.enter()
    nonisolated(unsafe) let delegate = delegate  // Handed over: from here on only the new thread calls it.
    Thread { [self] in
      martlet_name_thread(name)
      thread.store(UInt(pthread_self()), ordering: .releasing)
      run(delegate)
      finished.leave()
    }.start()
  }

  func wake() {
    guard wakeup >= 0 else { return }
    var one: UInt64 = 1
    // Fails only when the counter is full, and then a wake-up is under way.
    _ = Glibc.write(wakeup, &one, MemoryLayout<UInt64>.size)
  }

  func join() { finished.wait() }

  var isCurrent: Bool { thread.load(ordering: .acquiring) == UInt(pthread_self()) }

  func add(_ descriptor: Int32, token: UInt64, interest: PollInterest) -> Bool {
    control(EPOLL_CTL_ADD, descriptor, token, Self.events(interest))
  }

  func update(_ descriptor: Int32, token: UInt64, interest: PollInterest) {
    // A registered descriptor can be changed: the call allocates nothing.
    _ = control(EPOLL_CTL_MOD, descriptor, token, Self.events(interest))
  }

  // Closing the only descriptor of a socket takes it out of the set.
  func close(_ descriptor: consuming FileDescriptor) {}

  private static func events(_ interest: PollInterest) -> UInt32 {
    (interest.contains(.read) ? EPOLLIN.rawValue : 0) | (interest.contains(.write) ? EPOLLOUT.rawValue : 0)
  }

  private func control(_ operation: Int32, _ descriptor: Int32, _ token: UInt64, _ events: UInt32) -> Bool {
    var event = epoll_event()
    event.events = events
    event.data.u64 = token
    return epoll_ctl(epoll, operation, descriptor, &event) == 0
  }

  private func run(_ delegate: any RoundDelegate) {
    let raw = UnsafeMutablePointer<epoll_event>.allocate(capacity: Self.maxEvents)
    let events = UnsafeMutablePointer<PollEvent>.allocate(capacity: Self.maxEvents)
    defer {
      raw.deallocate()
      events.deallocate()
    }
    var timeout: Int32 = 0
    while true {
      let ready = epoll_wait(epoll, raw, Int32(Self.maxEvents), timeout)
      var count = 0
      // A failure can only be EINTR, which is a round without events.
      for index in 0..<max(0, Int(ready)) {
        let token = raw[index].data.u64
        guard token != Self.wakeToken else { continue }
        events.advanced(by: count).initialize(
          to: PollEvent(token: token, readiness: Self.readiness(raw[index].events)))
        count += 1
      }
      switch delegate.round(UnsafeBufferPointer(start: events, count: count)) {
      case .none: timeout = 0
      case .nanoseconds(let wait): timeout = Int32(min((wait + 999_999) / 1_000_000, UInt64(Int32.max)))
      case .forever: timeout = -1
      case .stop: return
      }
    }
  }

  private static func readiness(_ events: UInt32) -> PollEvent.Readiness {
    var readiness: PollEvent.Readiness = []
    if events & EPOLLIN.rawValue != 0 { readiness.insert(.readable) }
    if events & EPOLLOUT.rawValue != 0 { readiness.insert(.writable) }
    if events & (EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0 { readiness.insert(.hangup) }
    return readiness
  }
}
