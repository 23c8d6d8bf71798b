import CLinux
import Dispatch
import Glibc
import MartletCore

/// One listening socket.
///
/// `@unchecked Sendable`: what changes is set in `start` or touched on the accepting reactor's thread.
public final class Listener: @unchecked Sendable {
  /// The address with the real port.
  public let address: SocketAddress

  private let descriptor: Int32
  /// Kept open, so that one descriptor is there to accept and close a connection when all others are used up.
  private var reserve: Int32
  private var accepting: Reactor?
  private var reactors: [Reactor] = []
  private var limiter: ConnectionLimiter?
  private var refused: (@Sendable (RefusalReason, SocketAddress) -> Void)?
  private var isClosed = false

  /// Binds and listens; `unixMode` is the mode of a Unix-domain socket's file.
  ///
  /// Errors: UNAVAILABLE with the address, and what to change when it is taken.
  public init(address: SocketAddress, backlog: Int = 4096, unixMode: mode_t = 0o660) throws(Status) {
    if case .unix(let path) = address { try Self.removeStale(path, address) }
    let descriptor = socket(
      address.family, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw Self.failure(address, "socket", errno) }
    var one: Int32 = 1
    let size = socklen_t(MemoryLayout<Int32>.size)
    if !address.isUnix { setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, size) }
    if case .ipv6 = address { setsockopt(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &one, size) }
    guard address.withSystemAddress({ bind(descriptor, $0, $1) }) == 0 else {
      defer { _ = Glibc.close(descriptor) }
      throw Self.failure(address, "bind", errno)
    }
    if case .unix(let path) = address { chmod(path, unixMode) }
    guard listen(descriptor, Int32(backlog)) == 0 else {
      defer { _ = Glibc.close(descriptor) }
      throw Self.failure(address, "listen", errno)
    }
    self.descriptor = descriptor
    self.address = SocketAddress.filled { getsockname(descriptor, $0, $1) } ?? address
    reserve = open("/dev/null", O_RDONLY | O_CLOEXEC)
  }

  deinit {
    if accepting == nil { _ = Glibc.close(descriptor) }
    if reserve >= 0 { _ = Glibc.close(reserve) }
  }

  private static func failure(_ address: SocketAddress, _ what: String, _ error: Int32) -> Status {
    let reason = String(cString: strerror(error))
    if error == EADDRINUSE {
      let port = address.port.map { "port \($0)" } ?? "the socket"
      return Status(
        .unavailable,
        "cannot listen on \(address): \(port) is in use by another process; pass another address with --listen, "
          + "or port 0 for a free one")
    }
    return Status(.unavailable, "cannot listen on \(address): \(what): \(reason)")
  }

  /// Removes the file of a server that is gone; one that answers keeps it.
  private static func removeStale(_ path: String, _ address: SocketAddress) throws(Status) {
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    guard status.st_mode & S_IFMT == S_IFSOCK else {
      throw Status(.unavailable, "cannot listen on \(address): the file is there and is not a socket")
    }
    let probe = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
    defer { _ = Glibc.close(probe) }
    let answers = address.withSystemAddress { connect(probe, $0, $1) } == 0 || errno == EAGAIN
    if answers { throw failure(address, "bind", EADDRINUSE) }
    unlink(path)
  }

  /// Begins to accept on the thread of `accepting`; a connection goes to the one of `reactors` with the fewest.
  ///
  /// `limiter` is shared by the listeners of a server. `refused` is told of each connection closed at once.
  public func start(
    on accepting: Reactor, reactors: [Reactor], limiter: ConnectionLimiter? = nil,
    refused: (@Sendable (RefusalReason, SocketAddress) -> Void)? = nil
  ) {
    self.accepting = accepting
    self.reactors = reactors
    self.limiter = limiter
    self.refused = refused
    _ = accepting.post { accepting.listen(self.descriptor, self) }
  }

  /// Accepts what the kernel has queued, then closes; returns when that is done. Not on a reactor's thread.
  public func drainAndClose() {
    guard let accepting else { return }
    let finished = DispatchSemaphore(value: 0)
    let isPosted = accepting.post {
      self.accept()
      self.close(on: accepting)
      finished.signal()
    }
    if isPosted { finished.wait() }
    if case .unix(let path) = address { unlink(path) }
  }

  private func close(on reactor: Reactor) {
    guard !isClosed else { return }
    isClosed = true
    reactor.closeListener(descriptor)
  }

  /// Accepts until the kernel has no more. On the accepting reactor's thread.
  func accept() {
    guard !isClosed, let accepting else { return }
    while true {
      var accepted: Int32 = -1
      let peer = SocketAddress.filled { address, length in
        accepted = martlet_accept(descriptor, address, length)
        return accepted
      }
      if accepted < 0 {
        switch errno {
        case EINTR, ECONNABORTED, EPROTO: continue
        case EMFILE, ENFILE:
          refuseWithReserve()
          accepting.pauseListener(descriptor, self)
          return
        case ENOBUFS, ENOMEM:
          accepting.statistics.refused[RefusalReason.descriptors.rawValue].add()
          accepting.pauseListener(descriptor, self)
          return
        default: return
        }
      }
      place(accepted, peer ?? .unix(path: ""), accepting)
    }
  }

  private func place(_ accepted: Int32, _ peer: SocketAddress, _ accepting: Reactor) {
    if let reason = limiter?.admit(peer) {
      _ = Glibc.close(accepted)
      accepting.statistics.refused[reason.rawValue].add()
      refused?(reason, peer)
      return
    }
    if !address.isUnix {
      var one: Int32 = 1
      setsockopt(accepted, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
    }
    // An accepted connection stays where it goes, so it goes where the fewest are.
    var chosen = reactors.first ?? accepting
    for reactor in reactors where reactor.connectionCount < chosen.connectionCount { chosen = reactor }
    if !chosen.adopt(accepted, peer: PeerInfo(address: peer, listener: address), limiter: limiter) {
      accepting.statistics.refused[RefusalReason.reactor.rawValue].add()
      refused?(.reactor, peer)
    }
  }

  /// No descriptor is left: the reserved one makes room to take the caller off the queue and close it.
  private func refuseWithReserve() {
    accepting?.statistics.refused[RefusalReason.descriptors.rawValue].add()
    guard reserve >= 0 else { return }
    _ = Glibc.close(reserve)
    let accepted = martlet_accept(descriptor, nil, nil)
    if accepted >= 0 { _ = Glibc.close(accepted) }
    reserve = open("/dev/null", O_RDONLY | O_CLOEXEC)
  }
}
