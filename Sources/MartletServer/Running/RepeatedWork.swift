import MartletCore
import Synchronization

/// Work that many may ask for and that runs once at a time: whoever asks while it is under way has it run once more
/// after that, together with all others who asked meanwhile. Any thread.
final class RepeatedWork: MetricSource {
  typealias Work = @Sendable (_ done: @escaping @Sendable () -> Void) -> Void

  private struct State {
    var isRunning = false
    /// What to run next, when somebody has asked.
    var next: Work?
    var begun: UInt64 = 0
    var joined: UInt64 = 0
  }

  private let state = Mutex(State())

  /// Begins the work, or has it run when that under way is done; `work` calls back when it is done, once.
  func ask(_ work: @escaping Work) {
    let begins = state.withLock { state in
      guard state.isRunning else {
        state.isRunning = true
        state.begun += 1
        return true
      }
      if state.next != nil { state.joined += 1 }
      state.next = work
      return false
    }
    if begins { begin(work) }
  }

  private func begin(_ work: Work) {
    work { [self] in
      let next = state.withLock { state -> Work? in
        guard let next = state.next.take() else {
          state.isRunning = false
          return nil
        }
        state.begun += 1
        return next
      }
      if let next { begin(next) }
    }
  }

  func collect(into collector: inout MetricCollector) {
    let (begun, joined) = state.withLock { ($0.begun, $0.joined) }
    for (result, count) in [("begun", begun), ("joined", joined)] {
      collector.counter(
        "martlet_reloads_total", help: "Reloads at SIGHUP: begun, or joined to one that waited already.",
        labels: [(name: "result", value: result)], count)
    }
  }
}
