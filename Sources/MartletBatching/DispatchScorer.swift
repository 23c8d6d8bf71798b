import Dispatch
import MartletCore
import Synchronization

/// Scores long batches on Dispatch, at most `threads` at once, in the order in which they came.
public final class DispatchScorer: BatchScorer {
  private struct State {
    var running = 0
    var waiting: [(Batch, @Sendable (Batch) -> Void)] = []
  }

  private let threads: Int
  private let queue = DispatchQueue(label: "martlet.scorers", qos: .userInitiated, attributes: .concurrent)
  private let state = Mutex(State())

  public init(threads: Int) { self.threads = max(1, threads) }

  public func submit(_ batch: Batch, finished: @escaping @Sendable (Batch) -> Void) {
    let start = state.withLock { state in
      state.waiting.append((batch, finished))
      guard state.running < threads else { return false }
      state.running += 1
      return true
    }
    if start { queue.async { self.work() } }
  }

  private func work() {
    while true {
      let next = state.withLock { state -> (Batch, @Sendable (Batch) -> Void)? in
        guard !state.waiting.isEmpty else {
          state.running -= 1
          return nil
        }
        return state.waiting.removeFirst()
      }
      guard let (batch, finished) = next else { return }
      let scratch = batch.lane.plan.makeScratch()
      let began = MonotonicTime.now()
      batch.scoringBegan = began
      repeat {
        _ = batch.scoreSome(limit: .max, scratch: scratch, now: .now())
      } while !batch.isDone
      batch.scoringNanoseconds = MonotonicTime.now().nanoseconds(since: began)
      finished(batch)
    }
  }
}
