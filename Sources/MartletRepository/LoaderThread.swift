import Dispatch
import Foundation
import Synchronization

/// One thread that does what it is given, one piece after the other; it exists only while there is work.
final class LoaderThread: Sendable {
  private struct State {
    var waiting: [@Sendable () -> Void] = []
    var isRunning = false
  }

  private let state = Mutex(State())

  func run(_ work: @escaping @Sendable () -> Void) {
    let start = state.withLock { state in
      state.waiting.append(work)
      defer { state.isRunning = true }
      return !state.isRunning
    }
    guard start else { return }
    let thread = Thread { self.work() }
    thread.name = "martlet-loader"
    thread.start()
  }

  private func work() {
    while true {
      let next = state.withLock { state -> (@Sendable () -> Void)? in
        guard !state.waiting.isEmpty else {
          state.isRunning = false
          return nil
        }
        return state.waiting.removeFirst()
      }
      guard let next else { return }
      next()
    }
  }

  private final class Outcome<Value: Sendable>: Sendable {
    let result = Mutex<Result<Value, any Error>?>(nil)
  }

  private let polite = PoliteThread()

  /// Runs `work` on a thread at nice 19 and waits for it; here, at the usual priority, with `isHasty`.
  ///
  /// Nothing in it may start a thread or hand work to Dispatch, which may start one: niceness is inherited, and a
  /// process without privileges cannot take it back, so that a worker of Dispatch's would stay at 19 for whoever uses
  /// it next.
  func politely<Value: Sendable>(
    isHasty: Bool = false, _ work: @escaping @Sendable () throws -> Value
  ) throws -> Value {
    if isHasty { return try work() }
    let outcome = Outcome<Value>()
    let done = DispatchSemaphore(value: 0)
    polite.run {
      let result = Result { try work() }
      outcome.result.withLock { $0 = result }
      done.signal()
    }
    done.wait()
    return try outcome.result.withLock { $0! }.get()
  }
}

/// The thread at nice 19; it begins with the first work and ends with its owner.
///
/// It stays, since what a thread frees remains in the arena that malloc gave it: with a thread for every load, one arena
/// after the other (there are eight a core) came to hold the free memory of a load.
private final class PoliteThread: Sendable {
  private final class Inbox: Sendable {
    let waiting = Mutex<[@Sendable () -> Void]>([])
    let count = DispatchSemaphore(value: 0)
  }

  private let inbox = Inbox()
  private let isRunning = Atomic<Bool>(false)

  deinit {
    // Without work it ends.
    inbox.count.signal()
  }

  func run(_ work: @escaping @Sendable () -> Void) {
    inbox.waiting.withLock { $0.append(work) }
    inbox.count.signal()
    guard !isRunning.exchange(true, ordering: .acquiringAndReleasing) else { return }
    let thread = Thread { [inbox] in
      // On Linux the niceness of "process 0" is the calling thread's. Where it is not allowed, work is just less polite.
      setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 19)
      while true {
        inbox.count.wait()
        let next = inbox.waiting.withLock { $0.isEmpty ? nil : $0.removeFirst() }
        guard let next else { return }
        next()
      }
    }
    thread.name = "martlet-load"
    thread.start()
  }
}
