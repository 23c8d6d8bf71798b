import MartletCore

/// Where readiness comes from.
public enum PollerKind: String, Sendable, CaseIterable {
  /// `epoll` on a thread of the reactor's own.
  case epoll
  /// A `DispatchSource` for each descriptor on a serial queue.
  case dispatch
}

/// What a reactor wants to know of a descriptor.
struct Interest: OptionSet {
  let rawValue: UInt8
  static let read = Interest(rawValue: 1)
  static let write = Interest(rawValue: 2)
}

/// How long a poller may wait after a round.
enum PollerWait {
  case none
  case until(MonotonicTime)
  case forever
}

/// Who is told of readiness; one thread at a time, always the same thread or serial queue.
protocol PollerDelegate: AnyObject {
  /// Before the first descriptor of a round.
  func roundBegan()
  /// The descriptor that was watched with `token` can be read, written, or has failed.
  func ready(token: UInt64, readable: Bool, writable: Bool, failed: Bool)
  /// After the last one.
  func roundEnded() -> PollerWait
  /// The loop is over: nothing is called after this.
  func pollerEnded()
}

/// Delivers rounds of readiness, level-triggered: what stays ready is told again.
///
/// All but `wake` on the delegate's thread, once it runs.
protocol Poller: AnyObject {
  /// Begins to run; the delegate is called from now on.
  func start(_ delegate: any PollerDelegate)
  /// Watches a descriptor, or changes what it is watched for; nothing for an empty interest.
  func watch(_ descriptor: Int32, token: UInt64, interest: Interest)
  /// Stops watching a descriptor and closes it.
  func close(_ descriptor: Int32)
  /// Asks for a round although nothing is ready. Any thread.
  func wake()
  /// Ends the loop after the current round.
  func end()
  /// Whether the caller is on the delegate's thread; for assertions.
  var isOnThread: Bool { get }
}
