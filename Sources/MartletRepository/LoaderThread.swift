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

  /// Runs `work` at nice 19, on a thread of its own, and waits for it; at the usual priority with `isHasty`.
  ///
  /// Nothing in it may start a thread or hand work to Dispatch, which may start one: niceness is inherited, and a
  /// process without privileges cannot take it back, so that a worker of Dispatch's would stay at 19 for whoever uses
  /// it next.
  static func politely<Value: Sendable>(
    isHasty: Bool = false, _ work: @escaping @Sendable () throws -> Value
  ) throws -> Value {
    let outcome = Outcome<Value>()
    let done = DispatchSemaphore(value: 0)
    let thread = Thread {
      // On Linux the niceness of "process 0" is the calling thread's. Where it is not allowed, work is just less polite.
      if !isHasty { setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 19) }
      let result = Result { try work() }
      outcome.result.withLock { $0 = result }
      done.signal()
    }
    thread.name = "martlet-load"
    thread.start()
    done.wait()
    return try outcome.result.withLock { $0! }.get()
  }
}
