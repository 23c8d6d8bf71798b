import Synchronization

/// Work that other threads bring to the thread that runs the services.
final class Mailbox: Sendable {
  private let waiting = Mutex<[@Sendable () -> Void]>([])

  func post(_ work: @escaping @Sendable () -> Void) { waiting.withLock { $0.append(work) } }

  /// Runs what waits; whether there was any.
  func drain() -> Bool {
    let work = waiting.withLock { waiting in
      let work = waiting
      waiting.removeAll(keepingCapacity: true)
      return work
    }
    for item in work { item() }
    return !work.isEmpty
  }
}
