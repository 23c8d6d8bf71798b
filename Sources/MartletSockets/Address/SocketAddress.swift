/// Where a socket listens or connects: TCP over IPv4 or IPv6, or a Unix-domain socket.
///
/// Its text is a URL: `tcp://127.0.0.1:8001`, `tcp://[::1]:8001`, `unix:/run/martlet.sock`.
public enum SocketAddress: Sendable, Hashable {
  /// `address` in host order: 0x7F00_0001 is 127.0.0.1.
  case ipv4(address: UInt32, port: UInt16)
  /// `high` and `low` are the address's halves in host order; `scope` is the interface's number, 0 for none.
  case ipv6(high: UInt64, low: UInt64, scope: UInt32, port: UInt16)
  /// `path` is empty for a peer without a name.
  case unix(path: String)

  /// The TCP port; nil for a Unix-domain socket.
  public var port: UInt16? {
    switch self {
    case .ipv4(_, let port), .ipv6(_, _, _, let port): port
    case .unix: nil
    }
  }

  public var isUnix: Bool {
    if case .unix = self { true } else { false }
  }

  /// Whether only processes of this machine can be at the other end.
  public var isLoopbackOrUnix: Bool {
    switch self {
    case .unix: true
    case .ipv4(let address, _): address >> 24 == 127
    // ::1, and 127.0.0.0/8 as IPv6 shows it (::ffff:127.0.0.1).
    case .ipv6(0, let low, _, _): low == 1 || low >> 24 == 0xFFFF_7F
    case .ipv6: false
    }
  }

  /// The same address with another port; a Unix-domain socket has none and stays itself.
  public func with(port: UInt16) -> SocketAddress {
    switch self {
    case .ipv4(let address, _): .ipv4(address: address, port: port)
    case .ipv6(let high, let low, let scope, _): .ipv6(high: high, low: low, scope: scope, port: port)
    case .unix: self
    }
  }
}
