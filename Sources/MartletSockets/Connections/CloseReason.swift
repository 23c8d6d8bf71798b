/// Why a connection ended.
public enum CloseReason: Sendable, Hashable {
  /// The peer closed its end and everything due was sent.
  case peerClosed
  /// A socket call failed; the value is `errno`.
  case reset(Int32)
  /// A connection opened from this side was refused or unreachable; the value is `errno`.
  case connectFailed(Int32)
  case connectTimeout
  /// No byte in either direction for `idleTimeout`.
  case idle
  /// No byte at all within `firstByteTimeout`.
  case firstByteTimeout
  /// A frame was not complete within `frameTimeout`.
  case slowWriter
  /// Output made no progress for `writeTimeout`, or more than `maxWriteBufferBytes` of it were waiting.
  case slowReader
  /// More than `maxReadBufferBytes` arrived without a complete frame.
  case readBufferFull
  /// The buffers of all connections of its reactor have `maxBufferBytes`, and its own are the largest.
  case memory
  /// What came is not the protocol.
  case protocolError
  /// The server is ending.
  case drained
  /// This side has no more use for it.
  case local

  /// The name in metrics and logs.
  public var name: String { Self.names[ordinal] }

  /// A dense number, for an array of counters.
  var ordinal: Int {
    switch self {
    case .peerClosed: 0
    case .reset: 1
    case .connectFailed: 2
    case .connectTimeout: 3
    case .idle: 4
    case .firstByteTimeout: 5
    case .slowWriter: 6
    case .slowReader: 7
    case .readBufferFull: 8
    case .memory: 9
    case .protocolError: 10
    case .drained: 11
    case .local: 12
    }
  }

  /// Names by ordinal.
  static let names = [
    "peer_closed", "reset", "connect_failed", "connect_timeout", "idle", "first_byte_timeout", "slow_writer",
    "slow_reader", "read_buffer_full", "memory", "protocol_error", "drained", "local",
  ]
}
