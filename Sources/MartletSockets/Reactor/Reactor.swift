import MartletCore

/// A thread's worth of connections: it owns their sockets, buffers and timers, without locks.
public final class Reactor: @unchecked Sendable {
  public let index: Int
  public let limits: SocketLimits
  public let statistics: SocketStatistics

  public init(index: Int, poller: PollerKind, limits: SocketLimits, statistics: SocketStatistics) {
    self.index = index
    self.limits = limits
    self.statistics = statistics
  }

  // Any thread.

  /// Sets who is told; before `start`.
  public func setHandler(_ handler: any ReactorHandler) { fatalError("declared only") }
  /// Begins to run, on a thread (epoll) or serial queue (dispatch) of its own.
  public func start() { fatalError("declared only") }
  /// Ends the loop, closes every connection and returns when that is done.
  public func stop() { fatalError("declared only") }
  /// Hands work to the reactor's thread; false when its mailbox is full or it is stopped.
  public func post(_ work: @escaping @Sendable () -> Void) -> Bool { fatalError("declared only") }
  /// Takes over an accepted, non-blocking socket; it is closed when the reactor cannot take it.
  public func adopt(_ descriptor: Int32, peer: PeerInfo) { fatalError("declared only") }
  /// Connections it has or has been given.
  public var connectionCount: Int { fatalError("declared only") }

  // The reactor's thread only.

  /// The clock, read once a round.
  public var now: MonotonicTime { fatalError("declared only") }
  /// Begins to open a connection; `opened` is called when it stands, `closed` when it fails.
  public func connect(to address: SocketAddress) throws(Status) -> ConnectionHandle { fatalError("declared only") }
  /// Room at the end of the write buffer; nil when the connection is gone or has too much unsent.
  public func reserve(_ connection: ConnectionHandle, _ bytes: Int) -> UnsafeMutableRawPointer? {
    fatalError("declared only")
  }
  /// Makes the first `bytes` of what was reserved part of the output.
  public func commit(_ connection: ConnectionHandle, _ bytes: Int) { fatalError("declared only") }
  /// Ends a connection, at the end of the round at the earliest.
  public func close(_ connection: ConnectionHandle, reason: CloseReason, afterFlush: Bool) {
    fatalError("declared only")
  }
  public func pauseReading(_ connection: ConnectionHandle) { fatalError("declared only") }
  public func resumeReading(_ connection: ConnectionHandle) { fatalError("declared only") }
  /// Asks for `received` again at the next round with the bytes kept.
  public func resumeParsing(_ connection: ConnectionHandle) { fatalError("declared only") }
  public func isAlive(_ connection: ConnectionHandle) -> Bool { fatalError("declared only") }
  /// Committed bytes that are not sent yet; 0 when the connection is gone.
  public func unsentBytes(_ connection: ConnectionHandle) -> Int { fatalError("declared only") }
  /// Calls `timerFired(token)` once, not before `time`.
  public func schedule(at time: MonotonicTime, token: UInt64) { fatalError("declared only") }
}
