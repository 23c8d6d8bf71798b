/// Who is at the other end of a connection and by which door it came.
public struct PeerInfo: Sendable, Hashable {
  /// The peer's address; a Unix socket's peer has an empty path as a rule.
  public var address: SocketAddress
  /// The address it connected to; for a connection that this side opened, the address of this side.
  public var listener: SocketAddress

  public init(address: SocketAddress, listener: SocketAddress) {
    self.address = address
    self.listener = listener
  }

  /// Whether only processes of this machine can come in by this door: the listener is loopback or a Unix socket.
  public var isLocal: Bool { listener.isLoopbackOrUnix }
}
