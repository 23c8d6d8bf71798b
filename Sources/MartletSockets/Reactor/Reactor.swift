import MartletCore
import Synchronization

/// A thread's worth of connections: it owns their sockets, buffers and timers, without locks.
///
/// A round, in this order: bytes kept from the last one are shown again, every ready socket is read once and its bytes
/// shown, work from other threads is done, timers fire, the handler ends the round, every socket with output is written
/// once, connections that end are closed. Callbacks never come from inside the reactor's own methods.
///
/// `@unchecked Sendable`: the methods for any thread touch atomics and the mailbox only; everything else is used by the
/// poller's thread alone, which debug builds assert, or before `start`.
public final class Reactor: @unchecked Sendable {
  enum Lifecycle: UInt8, AtomicRepresentable {
    case made
    case running
    case stopped
  }

  public let index: Int
  /// Changed by `apply` alone; afterwards for the reactor's thread.
  public internal(set) var limits: SocketLimits
  public let statistics: SocketStatistics

  let poller: any Poller
  /// How an open connection is watched.
  let readInterest: PollInterest
  let mailbox: Mailbox
  let lifecycle = Atomic<Lifecycle>(.made)
  let stopRequested = Atomic<Bool>(false)
  let openConnections = Atomic<Int>(0)

  var timeouts: Timeouts
  /// Nanoseconds of `limits.spin`.
  var spin: UInt64
  /// When something last happened; followed only where the reactor spins.
  var lastEvent = MonotonicTime(nanoseconds: 0)
  let slab: ConnectionSlab
  let pool = BufferPool()
  /// Where a socket is read when nothing is kept of its connection; shared, because it is empty between two sockets.
  let scratch: UnsafeMutableRawBufferPointer

  var handler: (any ReactorHandler)?
  var currentTime = MonotonicTime.now()
  var wheel: TimerWheel
  var dueTimers: [TimerKey] = []
  var mail: [Mailbox.Item] = []
  /// Connections to settle at the end of this round; each once, by its flag.
  var touched: [ConnectionHandle] = []
  /// Connections whose kept bytes the next round shows again; each once, by its flag.
  var resumed: [ConnectionHandle] = []
  var resuming: [ConnectionHandle] = []
  /// Connections to read in the next round whatever the poller tells; each once, by its flag.
  var unread: [ConnectionHandle] = []
  var reading: [ConnectionHandle] = []
  /// Accepting sockets by their number; a number is never used twice.
  var acceptors: [Int: Acceptor] = [:]
  var isEnding = false
  /// How often a connection was ended from this side or failed: as long as it stays, those that were alive are.
  public internal(set) var endings: UInt64 = 0
  /// Whether the wheel holds the moment at which free buffers are looked at.
  var isTrimDue = false
  var rounds: UInt64 = 0
  /// Whether the next read and write of this round are timed.
  var sampleRead = false
  var sampleWrite = false

  /// Why the reactor could not run; set by `start`.
  public private(set) var startFailure: Status?

  /// Makes a reactor at rest. Any number of connections up to `limits.maxConnections` may be given to it.
  public init(index: Int, poller: PollerKind, limits: SocketLimits, statistics: SocketStatistics) {
    self.index = index
    self.limits = limits
    self.statistics = statistics
    let poller = poller.make()
    self.poller = poller
    readInterest = poller.hasEdges ? [.read, .edge] : .read
    mailbox = Mailbox(capacity: limits.mailboxCapacity)
    timeouts = Timeouts(limits)
    spin = limits.spin.wholeNanoseconds
    slab = ConnectionSlab(capacity: limits.maxConnections)
    scratch = .allocate(byteCount: max(1, limits.readChunkBytes), alignment: 64)
    wheel = TimerWheel(now: currentTime)
    touched.reserveCapacity(256)
    resumed.reserveCapacity(256)
    resuming.reserveCapacity(256)
    unread.reserveCapacity(256)
    reading.reserveCapacity(256)
    dueTimers.reserveCapacity(256)
  }

  deinit {
    if lifecycle.load(ordering: .acquiring) == .made { refuseMail(mailbox.close()) }
    scratch.deallocate()
  }

  // MARK: - Any thread

  /// Sets who is told; before `start`. The reactor keeps it until it has stopped.
  public func setHandler(_ handler: any ReactorHandler) {
    precondition(lifecycle.load(ordering: .acquiring) == .made, "the handler is set before the reactor starts")
    self.handler = handler
  }

  /// Begins to run, on a thread (epoll) or serial queue (dispatch) of its own; once, after `setHandler`.
  ///
  /// When the system has no descriptor left for the poller, `startFailure` says so and the reactor is as if stopped.
  public func start() {
    precondition(handler != nil, "a reactor needs a handler before it starts")
    let (isFirst, _) = lifecycle.compareExchange(
      expected: .made, desired: .running, ordering: .acquiringAndReleasing)
    guard isFirst else { return }
    do throws(Status) {
      try poller.start(name: "martlet-rx-\(index)", delegate: self)
    } catch {
      startFailure = error
      lifecycle.store(.stopped, ordering: .releasing)
      refuseMail(mailbox.close())
      handler = nil
    }
  }

  /// Ends the loop after this round: work already posted is done, every connection is closed.
  ///
  /// Returns when that is over; on the reactor's own thread at once, the end then follows with the round's. Answers still
  /// unsent are lost: close with `afterFlush` and wait before.
  public func stop() {
    let (neverRan, _) = lifecycle.compareExchange(
      expected: .made, desired: .stopped, ordering: .acquiringAndReleasing)
    if neverRan {
      refuseMail(mailbox.close())
      handler = nil
      return
    }
    stopRequested.store(true, ordering: .releasing)
    poller.wake()
    if !poller.isCurrent { poller.join() }
  }

  /// Hands work to the reactor's thread; false when it is stopped.
  ///
  /// Work that was taken is done, in order of posting, even when the reactor stops meanwhile; only one that is stopped
  /// before it ever started drops it.
  public func post(_ work: @escaping @Sendable () -> Void) -> Bool { deliver(.work(work)) }

  /// Takes over an accepted, non-blocking socket; it is closed when the reactor cannot take it.
  public func adopt(_ descriptor: Int32, peer: PeerInfo) { _ = adopt(descriptor, peer: peer, limiter: nil) }

  /// The same, with the limiter that admitted it; false, and the socket closed, when the reactor cannot take it.
  func adopt(_ descriptor: Int32, peer: PeerInfo, limiter: ConnectionLimiter?) -> Bool {
    // Counted from here on, so that the next choice of the reactor with the fewest sees it.
    openConnections.add(1, ordering: .relaxed)
    if deliver(.adopt(descriptor: descriptor, peer: peer, limiter: limiter)) { return true }
    discardAdopted(descriptor, peer, limiter)
    return false
  }

  /// Connections it has or has been given.
  public var connectionCount: Int { openConnections.load(ordering: .relaxed) }

  private func deliver(_ item: Mailbox.Item) -> Bool {
    switch mailbox.post(item) {
    case .wake:
      poller.wake()
      return true
    case .taken: return true
    case .refused: return false
    }
  }

  /// Gives up a socket that was counted but never became a connection.
  func discardAdopted(_ descriptor: Int32, _ peer: PeerInfo, _ limiter: ConnectionLimiter?) {
    _ = FileDescriptor(owning: descriptor)
    limiter?.release(peer.address)
    openConnections.subtract(1, ordering: .relaxed)
  }

  private func refuseMail(_ items: [Mailbox.Item]) {
    for case .adopt(let descriptor, let peer, let limiter) in items { discardAdopted(descriptor, peer, limiter) }
  }

  // MARK: - The reactor's thread

  /// The clock, read at the beginning of the round.
  public var now: MonotonicTime {
    assertOnThread()
    return currentTime
  }

  /// Whether the connection can still be read and answered.
  public func isAlive(_ connection: ConnectionHandle) -> Bool {
    assertOnThread()
    return slab[connection]?.pointee.isAlive ?? false
  }

  func assertOnThread() {
    assert(poller.isCurrent, "a method of the reactor's thread was called on another")
  }

  /// Puts a connection on the list of those to settle at the end of the round.
  func touch(_ connection: UnsafeMutablePointer<Connection>, _ handle: ConnectionHandle) {
    guard !connection.pointee.flags.contains(.touched) else { return }
    connection.pointee.flags.insert(.touched)
    touched.append(handle)
  }

  static func token(_ handle: ConnectionHandle) -> UInt64 { UInt64(handle.generation) << 32 | UInt64(handle.slot) }
}
