import CLinux
import Foundation
import MartletCore
import Synchronization

/// `epoll` on a thread of its own.
final class EpollPoller: Poller, @unchecked Sendable {
  // `@unchecked Sendable`: all but `wake` is confined to the thread that `start` makes.

  private static let wakeToken = UInt64.max
  private static let eventsPerRound = 256

  private let epoll: Int32
  private let wakeup: Int32
  /// What each descriptor is watched for, by descriptor.
  private var interests: [Interest?] = []
  private var isEnding = false
  private var thread: pthread_t?
  private let name: String

  init(name: String) {
    self.name = name
    epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
    wakeup = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
    precondition(epoll >= 0 && wakeup >= 0, "no descriptor is left for a poller")
    var event = epoll_event(events: EPOLLIN.rawValue, data: epoll_data(u64: Self.wakeToken))
    epoll_ctl(epoll, EPOLL_CTL_ADD, wakeup, &event)
  }

  deinit {
    _ = Glibc.close(epoll)
    _ = Glibc.close(wakeup)
  }

  var isOnThread: Bool { thread.map { pthread_equal($0, pthread_self()) != 0 } ?? true }

  func start(_ delegate: any PollerDelegate) {
    // The delegate is used on the new thread only.
    nonisolated(unsafe) let delegate = delegate
    let thread = Thread { self.run(delegate) }
    thread.name = name
    thread.stackSize = 8 << 20
    thread.start()
  }

  private func run(_ delegate: any PollerDelegate) {
    thread = pthread_self()
    let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: Self.eventsPerRound)
    defer { events.deallocate() }
    // Work may have been posted before the thread began.
    var timeout: Int32 = 0
    while !isEnding {
      let count = epoll_wait(epoll, events, Int32(Self.eventsPerRound), timeout)
      delegate.roundBegan()
      for index in 0..<max(0, Int(count)) {
        let event = events[index]
        if event.data.u64 == Self.wakeToken {
          var value: UInt64 = 0
          _ = read(wakeup, &value, 8)
          continue
        }
        delegate.ready(
          token: event.data.u64, readable: event.events & EPOLLIN.rawValue != 0,
          writable: event.events & EPOLLOUT.rawValue != 0,
          failed: event.events & (EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0)
      }
      timeout = Self.milliseconds(delegate.roundEnded())
    }
    delegate.pollerEnded()
  }

  private static func milliseconds(_ wait: PollerWait) -> Int32 {
    switch wait {
    case .none: return 0
    case .forever: return -1
    case .until(let time):
      // Rounded up, or a timer that is due in half a millisecond would be polled for until then.
      let left = (time.nanoseconds(since: .now()) + 999_999) / 1_000_000
      return Int32(min(left, 60_000))
    }
  }

  func watch(_ descriptor: Int32, token: UInt64, interest: Interest) {
    while interests.count <= descriptor { interests.append(nil) }
    let old = interests[Int(descriptor)]
    guard old != interest else { return }
    var bits: UInt32 = 0
    if interest.contains(.read) { bits |= EPOLLIN.rawValue }
    if interest.contains(.write) { bits |= EPOLLOUT.rawValue }
    var event = epoll_event(events: bits, data: epoll_data(u64: token))
    epoll_ctl(epoll, old == nil ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, descriptor, &event)
    interests[Int(descriptor)] = interest
  }

  func close(_ descriptor: Int32) {
    if descriptor < interests.count, interests[Int(descriptor)] != nil {
      var event = epoll_event()
      epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, &event)
      interests[Int(descriptor)] = nil
    }
    _ = Glibc.close(descriptor)
  }

  func wake() {
    var one: UInt64 = 1
    _ = write(wakeup, &one, 8)
  }

  func end() { isEnding = true }
}
