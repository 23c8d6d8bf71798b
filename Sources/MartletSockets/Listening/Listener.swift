import CLinux
import Dispatch
import Glibc
import MartletCore
import Synchronization

/// One listening socket: TCP on one address, or a Unix-domain socket's file.
///
/// Listens from the beginning, so that callers queue in the kernel; accepts from `start` on. Any thread.
public final class Listener: @unchecked Sendable {
  private enum State {
    case listening
    case accepting(Reactor, number: Int)
    case closed
  }

  /// The address with the real port.
  public let address: SocketAddress

  // Unchecked because of `acceptor`, which is made under the lock and used by its reactor's thread alone.
  private let state: Mutex<State>
  private let descriptor: Int32
  private let tenure: ListenerTenure
  /// Whether a service manager keeps the socket, so that it is never this process's alone.
  public let isSupervised: Bool
  private let acceptCall: Acceptor.AcceptCall
  /// Whether somebody else owns the descriptor now, or it is closed.
  private let isGone = Atomic<Bool>(false)

  /// Binds and listens.
  ///
  /// No second socket can have the same port (no `SO_REUSEPORT`); IPv6 addresses take no IPv4 connections. The file of a
  /// Unix-domain socket is made with `unixMode`, replaces one on which nobody answers, and is removed on close. Throws
  /// `unavailable` with a message that names the address and says what to change.
  public convenience init(address: SocketAddress, backlog: Int = 4096, unixMode: mode_t = 0o660) throws(Status) {
    try self.init(address: address, backlog: backlog, unixMode: unixMode) { martlet_accept($0, $1, $2) }
  }

  /// The same with another call in place of `accept4`, for tests of its errors.
  init(
    address: SocketAddress, backlog: Int, unixMode: mode_t, acceptCall: @escaping Acceptor.AcceptCall
  ) throws(Status) {
    let socket = FileDescriptor(owning: makeStreamSocket(for: address))
    let number = socket.rawValue
    guard number >= 0 else { throw Self.failure(address, errno) }
    let file: UnixSocketFile?
    if case .unix(let path) = address {
      try UnixSocketFile.removeStale(path, of: address)
      // Before bind the mode of the socket becomes that of the file: it is never open wider than wanted.
      fchmod(number, unixMode)
    } else {
      _ = setOption(number, SOL_SOCKET, SO_REUSEADDR, 1)
    }
    guard address.withSystemAddress({ bind(number, $0, $1) }) == 0 else { throw Self.failure(address, errno) }
    if case .unix(let path) = address {
      // The process's umask took bits away.
      chmod(path, unixMode)
      file = UnixSocketFile(path: path)
    } else {
      file = nil
    }
    guard listen(number, Int32(clamping: backlog)) == 0 else {
      let error = errno
      file?.remove()
      throw Self.failure(address, error)
    }
    self.address = SocketAddress.filled { getsockname(number, $0, $1) } ?? address
    self.acceptCall = acceptCall
    tenure = ListenerTenure(isShared: false, file: file)
    isSupervised = false
    descriptor = socket.release()
    state = Mutex(.listening)
  }

  /// Takes over a socket that others hold as well, until `own` says that they do not.
  ///
  /// Throws `invalidArgument` with the socket's name when it is no listening stream socket; it is closed then.
  public init(adopting socket: InheritedSocket) throws(Status) {
    address = try socket.address()
    acceptCall = { martlet_accept($0, $1, $2) }
    tenure = ListenerTenure(isShared: true, file: nil)
    isSupervised = socket.isSupervised
    descriptor = socket.take()
    state = Mutex(.listening)
    prepareStreamSocket(descriptor, isUnix: address.isUnix)
  }

  deinit { closeUnstarted() }

  /// Begins to accept on the thread of `accepting`; a connection goes to the one of `reactors` with the fewest.
  ///
  /// Once, and never after `drainAndClose`. `limiter` is shared by the listeners of a server; without one the limits of
  /// `accepting` hold for this listener alone. `refused` is told on that thread of each connection closed at once.
  public func start(
    on accepting: Reactor, reactors: [Reactor], limiter: ConnectionLimiter? = nil,
    refused: (@Sendable (RefusalReason, SocketAddress) -> Void)? = nil
  ) {
    let limiter = limiter ?? ConnectionLimiter(limits: accepting.limits)
    let number = Self.numbers.add(1, ordering: .relaxed).newValue
    let isFirst = state.withLock { state in
      guard case .listening = state else { return false }
      state = .accepting(accepting, number: number)
      return true
    }
    guard isFirst else { return }
    let isPosted = accepting.post { [self] in
      guard !isGone.exchange(true, ordering: .acquiringAndReleasing) else { return }
      accepting.begin(
        Acceptor(
          number: number, descriptor: FileDescriptor(owning: descriptor), address: address, tenure: tenure,
          reactor: accepting, reactors: reactors, limiter: limiter, refused: refused, acceptCall: acceptCall))
    }
    if !isPosted {
      state.withLock { $0 = .closed }
      closeUnstarted()
    }
  }

  // MARK: With other processes at the same socket

  /// A copy of the socket for another process. From here on, until `own`, the end of this listener leaves the socket as
  /// it is: open, with the connections that wait, and with its file.
  ///
  /// Not at the same time as `drainAndClose`. Throws `unavailable` when it is closed or there is no descriptor left.
  public func copy() throws(Status) -> InheritedSocket {
    let isOpen = state.withLock { if case .closed = $0 { false } else { true } }
    tenure.share()
    let copy = isOpen ? fcntl(descriptor, F_DUPFD_CLOEXEC, 0) : -1
    guard copy >= 0 else {
      throw Status(.unavailable, "cannot hand \(address) over: \(isOpen ? errorText(errno) : "it is closed")")
    }
    return InheritedSocket(owning: copy, name: "\(address)", isSupervised: isSupervised)
  }

  /// The socket is this process's alone, unless a service manager keeps it.
  public func own() {
    guard !isSupervised else { return }
    if case .unix(let path) = address { tenure.own(path: path) } else { tenure.own(path: nil) }
  }

  /// Accepts what the kernel has queued, then closes; returns when that is done. A socket that others hold as well is
  /// let go of as it is.
  ///
  /// A listener that was not started is closed at once, as is one whose reactor has stopped.
  public func drainAndClose() {
    let before = state.withLock { state in
      let before = state
      state = .closed
      return before
    }
    switch before {
    case .closed: return
    case .listening: closeUnstarted()
    case .accepting(let reactor, let number):
      if reactor.poller.isCurrent {
        reactor.acceptors[number]?.drainAndClose()
        return
      }
      let done = DispatchSemaphore(value: 0)
      let isPosted = reactor.post {
        reactor.acceptors[number]?.drainAndClose()
        done.signal()
      }
      if isPosted { done.wait() } else { closeUnstarted() }
    }
  }

  /// Numbers of acceptors, one in a process: a poller's late event for an old one finds none.
  private static let numbers = Atomic<Int>(0)

  /// Closes the socket unless an acceptor has taken it over.
  private func closeUnstarted() {
    guard !isGone.exchange(true, ordering: .acquiringAndReleasing) else { return }
    _ = FileDescriptor(owning: descriptor)
    tenure.removeFile()
  }

  private static func failure(_ address: SocketAddress, _ error: Int32) -> Status {
    let why: String
    switch error {
    case EADDRINUSE:
      let what = address.port.map { "port \($0) is" } ?? "the path is"
      why =
        "\(what) in use by another process; stop it or choose another with --listen"
        + (address.port == nil ? "" : ", for example --listen \(address.with(port: 0)) for any free port")
    case EACCES where address.port != nil:
      why = "port \(address.port ?? 0) needs a privilege; choose one above 1023 with --listen"
    case EADDRNOTAVAIL: why = "this machine has no such address; tcp://0.0.0.0:PORT listens on all"
    default: why = errorText(error)
    }
    return Status(.unavailable, "cannot listen on \(address): \(why)")
  }
}

extension Reactor {
  /// Begins to watch a listening socket.
  func begin(_ acceptor: Acceptor) {
    assertOnThread()
    acceptors[acceptor.number] = acceptor
    guard !isEnding, acceptor.watch() else { return acceptor.close() }
  }
}
