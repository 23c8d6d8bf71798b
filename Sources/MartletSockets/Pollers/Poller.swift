/// Where readiness comes from.
public enum PollerKind: String, Sendable, CaseIterable {
  /// `epoll` on a thread of the reactor's own.
  case epoll
  /// A `DispatchSource` for each descriptor on a serial queue.
  case dispatch
}
