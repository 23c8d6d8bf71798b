import Foundation
import Synchronization

/// One thread at nice 19 that does what it is given, one piece after the other; it exists only while there is work.
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
    let thread = Thread {
      // On Linux the niceness of "process 0" is the calling thread's. Where it is not allowed, loading is just less
      // polite.
      setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 19)
      self.work()
    }
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
}
