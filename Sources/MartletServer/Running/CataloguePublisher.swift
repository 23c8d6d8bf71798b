import Dispatch
import MartletRepository
import Synchronization

/// Brings a new catalogue to every reactor. Each swaps its own reference between two rounds; when all have, the old
/// one is let go on Dispatch, so that no serving thread pays for freeing a model.
final class CataloguePublisher: Sendable {
  private let stacks: [ReactorStack]
  private let current = Mutex(Catalogue([]))

  init(_ stacks: [ReactorStack]) { self.stacks = stacks }

  func publish(_ catalogue: Catalogue, done: @escaping @Sendable () -> Void) {
    let old = current.withLock { current in
      defer { current = catalogue }
      return current
    }
    let counter = Countdown(waiting: stacks.count) {
      DispatchQueue.global(qos: .utility).async {
        withExtendedLifetime(old) {}
        done()
      }
    }
    for stack in stacks { stack.serve(catalogue) { counter.arrive() } }
  }
}

/// Runs something when the last of a number of parties has arrived. Any thread.
private final class Countdown: Sendable {
  private let waiting: Atomic<Int>
  private let finished: @Sendable () -> Void

  init(waiting: Int, _ finished: @escaping @Sendable () -> Void) {
    self.waiting = Atomic(waiting)
    self.finished = finished
  }

  func arrive() {
    if waiting.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 { finished() }
  }
}
