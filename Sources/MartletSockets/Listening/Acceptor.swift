import CLinux
import Glibc
import MartletCore

/// Accepts from one listening socket on its reactor's thread and hands the connections out.
///
/// Made on any thread, then confined to the reactor's.
final class Acceptor {
  /// The slot number in a poller's token that no connection has.
  static let slot = UInt32.max
  /// Accepts per round, so that a flood of connections does not stop the calls of those that are there.
  private static let roundLimit = 64
  /// Accepts of a drain: more than any backlog holds, so that it ends even under a flood.
  private static let drainLimit = 1 << 17

  typealias AcceptCall = (Int32, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32

  private enum Outcome {
    case accepted
    /// Nobody waits.
    case empty
    /// No descriptor or memory is left.
    case exhausted
  }

  let number: Int
  private var descriptor: FileDescriptor?
  private let rawDescriptor: Int32
  private let address: SocketAddress
  private let tenure: ListenerTenure
  /// Unowned: a reactor holds its acceptors.
  private unowned let reactor: Reactor
  private let reactors: [Reactor]
  private let limiter: ConnectionLimiter
  private let refused: (@Sendable (RefusalReason, SocketAddress) -> Void)?
  private let acceptCall: AcceptCall
  /// Held so that one connection can be accepted and closed when no other descriptor is left: its peer hears of it.
  private var reserve: Int32

  init(
    number: Int, descriptor: consuming FileDescriptor, address: SocketAddress, tenure: ListenerTenure,
    reactor: Reactor, reactors: [Reactor], limiter: ConnectionLimiter,
    refused: (@Sendable (RefusalReason, SocketAddress) -> Void)?, acceptCall: @escaping AcceptCall
  ) {
    self.number = number
    rawDescriptor = descriptor.rawValue
    self.descriptor = consume descriptor
    self.address = address
    self.tenure = tenure
    self.reactor = reactor
    self.reactors = reactors
    self.limiter = limiter
    self.refused = refused
    self.acceptCall = acceptCall
    reserve = Self.openReserve()
  }

  deinit { if reserve >= 0 { _ = Glibc.close(reserve) } }

  var token: UInt64 { UInt64(number) << 32 | UInt64(Self.slot) }

  /// Begins to accept; false when the system refuses.
  func watch() -> Bool { reactor.poller.add(rawDescriptor, token: token, interest: .read) }

  /// Accepts what waits, as far as a round may.
  func acceptRound() { acceptWaiting(limit: Self.roundLimit) }

  /// Begins to accept again after a pause.
  func resume() {
    guard descriptor != nil else { return }
    reactor.poller.update(rawDescriptor, token: token, interest: .read)
  }

  /// Accepts everything that the kernel has queued, unless others do so later, then closes.
  func drainAndClose() {
    if !tenure.isShared { acceptWaiting(limit: Self.drainLimit) }
    close()
  }

  /// Stops listening and removes a Unix socket's file; with others at the same socket, only lets go of it.
  func close() {
    guard let owned = descriptor.take() else { return }
    if tenure.isShared {
      reactor.poller.forget(rawDescriptor)
    } else {
      // A poller may keep the descriptor a little longer; from here on nobody can connect to it.
      shutdown(rawDescriptor, Int32(SHUT_RDWR))
    }
    reactor.poller.close(owned)
    tenure.removeFile()
    reactor.acceptors[number] = nil
  }

  private func acceptWaiting(limit: Int) {
    guard descriptor != nil else { return }
    for _ in 0..<limit {
      switch acceptOne() {
      case .accepted: continue
      case .empty: return
      case .exhausted:
        refuseOne()
        reactor.poller.update(rawDescriptor, token: token, interest: [])
        reactor.wheel.schedule(
          at: reactor.currentTime.advanced(by: reactor.limits.acceptBackoff), .listener(number))
        return
      }
    }
  }

  private func acceptOne() -> Outcome {
    var accepted: Int32 = -1
    let peer = SocketAddress.filled { pointer, length in
      accepted = acceptCall(rawDescriptor, pointer, length)
      return accepted
    }
    guard accepted >= 0 else {
      switch errno {
      case EAGAIN: return .empty
      case EMFILE, ENFILE, ENOBUFS, ENOMEM: return .exhausted
      // The socket itself is broken or closed: nothing will come of trying again.
      case EBADF, EINVAL, ENOTSOCK, EOPNOTSUPP, EFAULT: return .empty
      // EINTR, ECONNABORTED and errors of the network that belong to the one connection which is gone (accept(2)).
      default: return .accepted
      }
    }
    place(accepted, peer ?? .unix(path: ""))
    return .accepted
  }

  private func place(_ accepted: Int32, _ peer: SocketAddress) {
    if let reason = limiter.admit(peer) {
      // Counted before the peer can see it.
      refuse(reason, peer)
      _ = Glibc.close(accepted)
      return
    }
    // It stays where it goes, so it goes where the fewest are.
    var chosen = reactor
    var fewest = Int.max
    for candidate in reactors {
      let count = candidate.connectionCount
      if count < fewest { (chosen, fewest) = (candidate, count) }
    }
    let isAdopted = chosen.adopt(accepted, peer: PeerInfo(address: peer, listener: address), limiter: limiter)
    if !isAdopted { refuse(.reactor, peer) }
  }

  /// With no descriptor left, takes one caller off the queue by means of the reserved one.
  private func refuseOne() {
    var peer: SocketAddress?
    if reserve >= 0 {
      _ = Glibc.close(reserve)
      var accepted: Int32 = -1
      peer = SocketAddress.filled { pointer, length in
        accepted = acceptCall(rawDescriptor, pointer, length)
        return accepted
      }
      if accepted >= 0 { _ = Glibc.close(accepted) }
    }
    reserve = Self.openReserve()
    refuse(.descriptors, peer ?? .unix(path: ""))
  }

  private func refuse(_ reason: RefusalReason, _ peer: SocketAddress) {
    reactor.statistics.refused(reason)
    refused?(reason, peer)
  }

  private static func openReserve() -> Int32 { open("/dev/null", O_RDONLY | O_CLOEXEC) }
}
