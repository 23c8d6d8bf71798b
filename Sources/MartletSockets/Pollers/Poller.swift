import MartletCore

/// Where readiness comes from.
public enum PollerKind: String, Sendable, CaseIterable {
  /// `epoll` on a thread of the reactor's own.
  case epoll
  /// A `DispatchSource` on a serial queue.
  case dispatch

  func make() -> any Poller {
    switch self {
    case .epoll: EpollPoller()
    case .dispatch: DispatchPoller()
    }
  }
}

/// What to be told about a descriptor. An error or a hang-up is told in any case, where the system can.
struct PollInterest: OptionSet {
  let rawValue: UInt8
  static let read = PollInterest(rawValue: 1)
  static let write = PollInterest(rawValue: 2)
  /// Beside `read`, where the poller has edges: to be told only when more has come, not as long as something is unread.
  /// Whoever asks for it reads all there is, or asks anew.
  static let edge = PollInterest(rawValue: 4)
}

/// What became of a descriptor. It may be late or wrong: the socket call that follows decides.
struct PollEvent {
  struct Readiness: OptionSet {
    let rawValue: UInt8
    static let readable = Readiness(rawValue: 1)
    static let writable = Readiness(rawValue: 2)
    /// Both directions are gone; what had arrived before can still be read.
    static let hangup = Readiness(rawValue: 4)
    /// The peer will send nothing more; told with `edge` only.
    static let finished = Readiness(rawValue: 8)
  }

  /// What the descriptor was registered with.
  var token: UInt64
  var readiness: Readiness
}

/// What a poller does after a round.
enum PollWait {
  /// Looks what is ready without waiting.
  case none
  /// Waits for readiness, a wake-up or this time, whichever is first.
  case nanoseconds(UInt64)
  case forever
  /// Ends: no further round.
  case stop
}

/// Receives a poller's rounds, on the poller's thread.
protocol RoundDelegate: AnyObject {
  /// `events` holds at most one round's readiness and is valid during the call.
  func round(_ events: UnsafeBufferPointer<PollEvent>) -> PollWait
}

/// Level-triggered readiness, but for what asks for edges, delivered as rounds to a callback on one thread at a time.
///
/// `start`, `wake` and `join` may be called on any thread, the rest on the poller's own.
protocol Poller: AnyObject {
  /// Begins to deliver rounds, the first at once. Throws `resourceExhausted` when the system has no descriptor left.
  func start(name: String, delegate: any RoundDelegate) throws(Status)
  /// Makes another round begin soon; harmless before `start` and after the end.
  func wake()
  /// Returns when the last round is over.
  func join()
  /// Whether the caller runs on the poller's thread.
  var isCurrent: Bool { get }
  /// Whether it knows `PollInterest.edge`.
  var hasEdges: Bool { get }

  /// Registers a descriptor; false when the system refuses, the descriptor then stays the caller's affair.
  func add(_ descriptor: Int32, token: UInt64, interest: PollInterest) -> Bool
  func update(_ descriptor: Int32, token: UInt64, interest: PollInterest)
  /// Takes a registered descriptor out, before `close`, when other descriptors of the same socket stay open.
  func forget(_ descriptor: Int32)
  /// Takes a registered descriptor out and closes it, as soon as nothing of the system still looks at it.
  func close(_ descriptor: consuming FileDescriptor)
}
