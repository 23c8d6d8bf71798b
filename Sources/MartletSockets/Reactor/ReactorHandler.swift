import MartletCore

/// What a reactor tells its owner; all calls on the reactor's thread.
///
/// The order for one connection is `opened`, any number of `received`, at most one `peerFinished`, and `closed` exactly
/// once. A connection opened from this side that fails gets `closed` alone. A handler may call every method of the
/// reactor from inside these.
public protocol ReactorHandler: AnyObject {
  /// A connection was accepted, or one opened from this side is connected.
  func opened(_ connection: ConnectionHandle, peer: PeerInfo)

  /// Bytes arrived.
  ///
  /// `bytes` is everything unread so far, contiguous, valid during the call. Returns how many were consumed (0 to
  /// `bytes.count`); the rest is shown again with more behind it. To end the connection, call `Reactor.close`.
  func received(_ connection: ConnectionHandle, bytes: UnsafeRawBufferPointer) -> Int

  /// The peer sends nothing more but may still read answers.
  ///
  /// The connection stays until the handler closes it (`afterFlush: true` when the last answer is written) or sending
  /// fails; bytes that were kept will not become complete.
  func peerFinished(_ connection: ConnectionHandle)

  /// The connection is gone, or all of its output is sent and the reactor only waits for the peer's end.
  func closed(_ connection: ConnectionHandle, reason: CloseReason)

  /// All ready connections of a round were read; buffers are not yet written.
  ///
  /// Returns true when work is left and another round should follow at once, polling without waiting.
  func roundEnded(now: MonotonicTime) -> Bool

  /// A moment given to `Reactor.schedule` has come.
  func timerFired(token: UInt64, now: MonotonicTime)

  /// Whether a connection without traffic for `idleTimeout` may be closed: false while it has calls in flight.
  func mayCloseIdle(_ connection: ConnectionHandle) -> Bool
}

extension ReactorHandler {
  public func mayCloseIdle(_ connection: ConnectionHandle) -> Bool { true }
}
