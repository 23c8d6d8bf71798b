import Dispatch
import MartletCore
import Synchronization

/// Scores long batches on Dispatch, at most `threads` at once, in the order in which they came. A batch that is long
/// enough is divided by rows among the threads that have nothing to do.
public final class DispatchScorer: BatchScorer {
  private struct State {
    var running = 0
    var waiting: [(Batch, @Sendable (Batch) -> Void)] = []
  }

  /// Predicted nanoseconds of a part that is worth waking a thread for.
  private static let worthwhile: UInt64 = 200_000

  public let threads: Int
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
      score(batch, finished)
    }
  }

  private func score(_ batch: Batch, _ finished: @escaping @Sendable (Batch) -> Void) {
    let pieces = max(1, min(threads, Int(batch.predicted / Self.worthwhile)))
    let helpers = state.withLock { state in
      let free = state.waiting.isEmpty ? min(threads - state.running, pieces - 1) : 0
      state.running += free
      return free
    }
    let began = MonotonicTime.now()
    batch.scoringBegan = began
    let run = DividedBatch(batch, batch.takeParts(pieces: helpers + 1, now: began), finished)
    for _ in 0..<helpers {
      queue.async {
        run.work()
        self.work()
      }
    }
    run.work()
  }
}

/// A batch whose parts several threads score; the one that ends last hands it back.
///
/// `@unchecked Sendable`: parts are disjoint rows of the tile, each scored by the thread that drew it; the batch itself
/// is touched by the last thread only, which the counter orders behind all others.
private final class DividedBatch: @unchecked Sendable {
  private let batch: Batch
  private let parts: [Range<Int>]
  private let finished: @Sendable (Batch) -> Void
  private let next = Atomic<Int>(0)
  private let left: Atomic<Int>
  private let nanoseconds = Atomic<UInt64>(0)
  private let failed = Mutex<[Range<Int>]>([])

  init(_ batch: Batch, _ parts: [Range<Int>], _ finished: @escaping @Sendable (Batch) -> Void) {
    self.batch = batch
    self.parts = parts
    self.finished = finished
    // One more, which the first thread counts down when there is nothing to score.
    left = Atomic(max(1, parts.count))
  }

  func work() {
    let plan = batch.lane.plan
    let scratch = plan.makeScratch()
    if parts.isEmpty {
      if next.add(1, ordering: .relaxed).oldValue == 0 { end(scratch) }
      return
    }
    while true {
      let index = next.add(1, ordering: .relaxed).oldValue
      guard index < parts.count else { return }
      let began = MonotonicTime.now()
      do throws(Status) {
        try plan.score(batch.tile, rows: parts[index], scratch: scratch)
      } catch {
        failed.withLock { $0.append(parts[index]) }
      }
      nanoseconds.add(MonotonicTime.now().nanoseconds(since: began), ordering: .relaxed)
      if left.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 { return end(scratch) }
    }
  }

  private func end(_ scratch: PlanScratch) {
    batch.finishParts(
      failed: failed.withLock { $0 }, rows: parts.reduce(0) { $0 + $1.count },
      nanoseconds: nanoseconds.load(ordering: .relaxed), scratch: scratch)
    finished(batch)
  }
}
