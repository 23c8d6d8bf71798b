import MartletRepository

/// An address to listen on, as people write it: `tcp://HOST:PORT` or `unix:PATH`.
public enum ListenAddress: Sendable, Hashable {
  /// A host name or numeric address (IPv6 without brackets); port 0 lets the system pick.
  case tcp(host: String, port: UInt16)
  case unix(path: String)

  /// What `sun_path` holds with its closing NUL.
  public static let longestPath = 107

  public init?(_ text: String) {
    if text.hasPrefix("tcp://") {
      guard let address = HostPort(String(text.dropFirst(6))) else { return nil }
      self = .tcp(host: address.host, port: address.port)
    } else if text.hasPrefix("unix:") {
      var path = text.dropFirst(5)
      // `unix:///run/x` is how others write `unix:/run/x`.
      if path.hasPrefix("///") { path = path.dropFirst(2) }
      guard !path.isEmpty, !path.hasPrefix("//"), path.utf8.count <= Self.longestPath, !path.utf8.contains(0) else {
        return nil
      }
      self = .unix(path: String(path))
    } else {
      return nil
    }
  }

  static let expected =
    "tcp://HOST:PORT (IPv6 as [ADDRESS], port 0 picks a free one) or unix:PATH of at most \(longestPath) bytes"
}

extension ListenAddress: CustomStringConvertible {
  public var description: String {
    switch self {
    case .tcp(let host, let port): "tcp://\(HostPort(host: host, port: port))"
    case .unix(let path): "unix:\(path)"
    }
  }
}

/// A host and a port as people write them: `127.0.0.1:8002`, `[::1]:8002`, `localhost:0`.
public struct HostPort: Sendable, Hashable {
  /// A host name or numeric address; IPv6 without its brackets.
  public var host: String
  /// 0 lets the system pick.
  public var port: UInt16

  public init(host: String, port: UInt16) {
    self.host = host
    self.port = port
  }

  public init?(_ text: String) {
    guard let colon = text.lastIndex(of: ":"),
      let number = ConfigurationScalar.count(String(text[text.index(after: colon)...])),
      let port = UInt16(exactly: number)
    else { return nil }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = host.dropFirst().dropLast()
      guard host.contains(":") else { return nil }
    } else if host.contains(":") {
      return nil
    }
    let allowed = host.utf8.allSatisfy {
      ($0 >= 0x30 && $0 <= 0x39) || ($0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A) || "-_.:%".utf8.contains($0)
    }
    guard !host.isEmpty, host.utf8.count <= 253, allowed else { return nil }
    self.init(host: String(host), port: port)
  }

  static let expected = "HOST:PORT (IPv6 as [ADDRESS], port 0 picks a free one)"

  /// Whether only this machine reaches it: 127.0.0.0/8, `::1` and the name `localhost`.
  public var isLoopback: Bool {
    if host == "localhost" || host == "::1" { return true }
    let parts = host.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
  }
}

extension HostPort: CustomStringConvertible {
  public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
