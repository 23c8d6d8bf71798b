import CLinux
import Dispatch
import Foundation
import Glibc
import MartletCore
import Synchronization

/// `epoll` on a thread of its own, woken through one `eventfd`.
///
/// Edges spare the kernel a second look at every socket that was read: level-triggered, it is asked at the next wait
/// whether there is still something to be read.
///
/// `@unchecked Sendable`: the descriptors never change, `thread` is atomic.
final class EpollPoller: Poller, @unchecked Sendable {
  private static let wakeToken = UInt64.max

  private let set = EpollSet()
  // Stays open until nobody holds the poller: a late `wake` must not write into somebody else's descriptor.
  private let wakeup: Int32
  private let creationError: Int32
  private let thread = Atomic<UInt>(0)
  private let finished = DispatchGroup()

  let hasEdges = true

  init() {
    wakeup = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
    creationError = set.creationError != 0 ? set.creationError : wakeup < 0 ? errno : 0
  }

  deinit {
    if wakeup >= 0 { _ = Glibc.close(wakeup) }
  }

  func start(name: String, delegate: any RoundDelegate) throws(Status) {
    // Edge-triggered: every write is a new edge, so the counter never has to be read.
    guard
      creationError == 0,
      set.add(wakeup, token: Self.wakeToken, events: EPOLLIN.rawValue | EPOLLET.rawValue)
    else {
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
    set.add(descriptor, token: token, events: EpollSet.events(interest))
  }

  func update(_ descriptor: Int32, token: UInt64, interest: PollInterest) {
    set.update(descriptor, token: token, events: EpollSet.events(interest))
  }

  func forget(_ descriptor: Int32) { set.remove(descriptor) }

  // Closing the only descriptor of a socket takes it out of the set.
  func close(_ descriptor: consuming FileDescriptor) {}

  private func run(_ delegate: any RoundDelegate) {
    var round = EpollRound()
    var timeout: Int32 = 0
    while true {
      switch delegate.round(round.wait(set, timeout: timeout, ignored: Self.wakeToken)) {
      case .none: timeout = 0
      case .nanoseconds(let wait): timeout = Int32(min((wait + 999_999) / 1_000_000, UInt64(Int32.max)))
      case .forever: timeout = -1
      case .stop: return
      }
    }
  }
}
