import Synchronization

/// Work that other threads hand to a reactor: bounded, in order, one wake-up for all that waits.
///
/// The bound is for new connections, which anybody can bring and which may be refused. Other work always gets in: it is
/// bounded where it comes from, and a scored batch that was refused would be calls without an answer.
final class Mailbox: Sendable {
  enum Item: Sendable {
    case work(@Sendable () -> Void)
    /// An accepted socket, owned by whoever takes the item out.
    case adopt(descriptor: Int32, peer: PeerInfo, limiter: ConnectionLimiter?)
  }

  enum Answer {
    /// Taken; the reader has to be woken.
    case wake
    /// Taken; the reader is awake or being woken.
    case taken
    /// Closed, or full and the item a connection: it stays with the caller.
    case refused
  }

  private struct State {
    var items: [Item] = []
    var isClosed = false
  }

  private let capacity: Int
  private let state = Mutex(State())
  private let waiting = Atomic<Bool>(false)

  init(capacity: Int) { self.capacity = capacity }

  /// Whether something waits; may be late.
  var hasItems: Bool { waiting.load(ordering: .acquiring) }

  func post(_ item: Item) -> Answer {
    state.withLock { state in
      guard !state.isClosed else { return .refused }
      if case .adopt = item, state.items.count >= capacity { return .refused }
      state.items.append(item)
      guard state.items.count == 1 else { return .taken }
      waiting.store(true, ordering: .releasing)
      return .wake
    }
  }

  /// Exchanges what waits for `items`, which must be empty and whose memory is used again.
  func take(into items: inout [Item]) {
    guard hasItems else { return }
    state.withLock { state in
      swap(&state.items, &items)
      waiting.store(false, ordering: .releasing)
    }
  }

  /// Refuses everything from now on and returns what was still waiting.
  func close() -> [Item] {
    state.withLock { state in
      state.isClosed = true
      waiting.store(false, ordering: .releasing)
      let rest = state.items
      state.items = []
      return rest
    }
  }
}
