import Glibc
import MartletCore

/// One listening socket.
public final class Listener: @unchecked Sendable {
  /// The address with the real port.
  public let address: SocketAddress

  /// Binds and listens; `unixMode` is the mode of a Unix-domain socket's file.
  public init(address: SocketAddress, backlog: Int = 4096, unixMode: mode_t = 0o660) throws(Status) {
    self.address = address
  }

  /// Begins to accept on the thread of `accepting`; a connection goes to the one of `reactors` with the fewest.
  ///
  /// `limiter` is shared by the listeners of a server. `refused` is told of each connection closed at once.
  public func start(
    on accepting: Reactor, reactors: [Reactor], limiter: ConnectionLimiter? = nil,
    refused: (@Sendable (RefusalReason, SocketAddress) -> Void)? = nil
  ) { fatalError("declared only") }

  /// Accepts what the kernel has queued, then closes; returns when that is done.
  public func drainAndClose() { fatalError("declared only") }
}
