/// Bounds of connections in number, bytes and time; each is a configuration value. A timeout of zero is none.
public struct SocketLimits: Sendable, Equatable {
  /// Connections in all, of all listeners and reactors together; the next one is accepted and closed at once.
  public var maxConnections = 10_000
  /// Connections of one IPv4 address or one IPv6 /64 network; Unix sockets are not counted.
  public var maxConnectionsPerAddress = 1_000
  /// Most bytes that one connection may bring in one round.
  public var readChunkBytes = 64 << 10
  /// Most unread bytes kept for a connection: room for the largest frame and one more read.
  public var maxReadBufferBytes = (4 << 20) + (128 << 10)
  /// Most unsent bytes of a connection; over it the peer is a slow reader and is closed.
  public var maxWriteBufferBytes = 16 << 20
  /// Unsent bytes from which no more is read from a connection until half of them are gone.
  public var writeHighWaterBytes = 1 << 20
  /// Most bytes of memory in the buffers of one reactor's connections together, but for the last one; when one wants
  /// more, whoever has the largest buffers is closed.
  public var maxBufferBytes = 512 << 20
  /// Longest time without a byte in either direction.
  public var idleTimeout: Duration = .seconds(600)
  /// Longest time from accepting a connection to its first byte.
  public var firstByteTimeout: Duration = .seconds(30)
  /// Longest time from the first byte of a frame to its last.
  public var frameTimeout: Duration = .seconds(30)
  /// Longest time that waiting output makes no progress.
  public var writeTimeout: Duration = .seconds(30)
  /// Longest time for opening a connection from this side.
  public var connectTimeout: Duration = .seconds(5)
  /// Longest wait for the peer's end after the last answer of a connection that this side closes.
  public var lingerTimeout: Duration = .seconds(2)
  /// Pause of accepting when the process or the system has no descriptor or memory left.
  public var acceptBackoff: Duration = .milliseconds(100)
  /// How long after the last event a reactor asks for the next without waiting: it answers sooner what comes then, and
  /// takes a whole core meanwhile. Zero waits at once.
  public var spin: Duration = .zero
  /// Pieces of work in a reactor's mailbox from which it takes no new connections.
  public var mailboxCapacity = 65_536

  public init() {}
}
