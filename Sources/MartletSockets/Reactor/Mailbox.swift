import Synchronization

/// Work for a thread from outside: bounded, in order. Any thread posts, one takes.
final class Mailbox: Sendable {
  private struct State {
    var work: [@Sendable () -> Void] = []
    var isClosed = false
  }

  enum Delivery {
    /// It is the first since the mailbox was emptied: the owner must be woken.
    case first
    case queued
    /// The mailbox is full or closed; the work was not taken.
    case refused
  }

  private let capacity: Int
  private let state = Mutex(State())

  init(capacity: Int) { self.capacity = capacity }

  func post(_ work: @escaping @Sendable () -> Void) -> Delivery {
    state.withLock { state in
      guard !state.isClosed, state.work.count < capacity else { return .refused }
      state.work.append(work)
      return state.work.count == 1 ? .first : .queued
    }
  }

  /// Everything posted so far.
  func take() -> [@Sendable () -> Void] {
    state.withLock { state in
      guard !state.work.isEmpty else { return [] }
      defer { state.work = [] }
      return state.work
    }
  }

  /// Refuses work from now on and returns what was still there.
  func close() -> [@Sendable () -> Void] {
    state.withLock { state in
      state.isClosed = true
      defer { state.work = [] }
      return state.work
    }
  }
}
