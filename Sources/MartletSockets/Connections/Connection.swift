import MartletCore

/// A socket with its buffers and clocks; lives in its reactor's slab and never moves.
struct Connection: ~Copyable {
  enum Phase: UInt8 {
    /// Opened from this side, not yet connected.
    case connecting
    case open
    /// To be closed when its output is sent; reads nothing more.
    case draining
    /// To be closed at the end of the round.
    case ending
    /// Output and end are sent; what still comes is thrown away until the peer's end or `lingerTimeout`.
    case lingering
  }

  struct Flags: OptionSet {
    let rawValue: UInt16
    /// The handler wants nothing more for now.
    static let paused = Flags(rawValue: 1)
    /// Too much is unsent to read on.
    static let throttled = Flags(rawValue: 2)
    /// The peer has ended its direction.
    static let peerFinished = Flags(rawValue: 4)
    /// The kept bytes are to be shown again.
    static let resume = Flags(rawValue: 8)
    /// In the reactor's list of connections to show bytes to in the next round.
    static let listed = Flags(rawValue: 16)
    /// In the reactor's list of connections to settle at the end of this round.
    static let touched = Flags(rawValue: 32)
    /// Opened from this side.
    static let outbound = Flags(rawValue: 64)
    /// At least one byte has arrived.
    static let hasReceived = Flags(rawValue: 128)
    /// The handler was told of its end.
    static let reported = Flags(rawValue: 256)
    /// Its present frame has been given time beyond its timeout, because bytes of it had arrived unread.
    static let excused = Flags(rawValue: 1024)
    /// The handler is looking at its kept bytes.
    static let shown = Flags(rawValue: 512)
    /// In the reactor's list of connections to read in the next round, since no edge will tell of what is there.
    static let unread = Flags(rawValue: 1024)
    /// An edge has told that the peer is done, or gone both ways: what is left is read to its end.
    static let ended = Flags(rawValue: 2048)
    static let hungUp = Flags(rawValue: 4096)
  }

  var descriptor: FileDescriptor
  let peer: PeerInfo
  /// Where it was counted when it was accepted.
  let limiter: ConnectionLimiter?
  let isUnix: Bool
  var phase: Phase
  var flags: Flags
  /// What the poller was last told.
  var interest: PollInterest = []
  /// Why it ends; has a meaning in the last three phases.
  var reason = CloseReason.local
  var input = ByteQueue()
  var output = ByteQueue()

  /// When the present phase of waiting began: connecting, opened, lingering.
  var phaseStart: MonotonicTime
  /// Last byte in either direction.
  var lastActivity: MonotonicTime
  /// Since when the first of the kept bytes waits for the rest of its frame.
  var frameStart: MonotonicTime
  /// When output last made progress or began to wait.
  var lastWrite: MonotonicTime
  /// When the one timer fires that the wheel holds for it.
  var armedUntil = MonotonicTime.distantFuture
  var timer = TimerWheel.Timer.none

  init(
    descriptor: consuming FileDescriptor, peer: PeerInfo, limiter: ConnectionLimiter?, phase: Phase, flags: Flags,
    now: MonotonicTime
  ) {
    self.descriptor = descriptor
    self.peer = peer
    self.limiter = limiter
    self.phase = phase
    self.flags = flags
    isUnix = peer.address.isUnix
    phaseStart = now
    lastActivity = now
    frameStart = now
    lastWrite = now
  }

  /// Bytes of memory in its buffers.
  var heldBytes: Int { input.capacity + output.capacity }

  /// Whether the handler may still use it.
  @inline(__always) var isAlive: Bool { phase == .open || phase == .connecting }

  /// Whether bytes may be read from the socket and shown.
  var mayRead: Bool {
    phase == .open && flags.isDisjoint(with: [.paused, .throttled, .peerFinished, .resume])
  }
}
