import Glibc
import MartletCore

extension SocketAddress {
  /// Reads an address from its URL.
  ///
  /// Accepts `tcp://HOST:PORT` with a numeric address, an IPv6 address in brackets or a name, and `unix:PATH` (also
  /// `unix://PATH`). A name is looked up, which may block; of several addresses the first is taken, for `localhost`
  /// 127.0.0.1. Throws `invalidArgument` for a malformed URL, `unavailable` when a name is not found.
  public static func parse(_ text: String) throws(Status) -> SocketAddress {
    try resolve(text)[0]
  }

  /// Reads an address from its URL and returns all addresses of its name, at least one, in the resolver's order.
  ///
  /// The same forms and errors as `parse`.
  public static func resolve(_ text: String) throws(Status) -> [SocketAddress] {
    if text.hasPrefix("unix:") { return [try unixAddress(text)] }
    guard text.hasPrefix("tcp://") else {
      throw Status(
        .invalidArgument,
        "address '\(shown(text))': expected tcp://HOST:PORT, for example tcp://127.0.0.1:8001, or unix:PATH")
    }
    let rest = text.dropFirst("tcp://".count)
    let host: Substring
    let portText: Substring
    if rest.hasPrefix("[") {
      guard let end = rest.firstIndex(of: "]"), rest[rest.index(after: end)...].hasPrefix(":") else {
        throw Status(.invalidArgument, "address '\(shown(text))': expected tcp://[IPV6-ADDRESS]:PORT")
      }
      host = rest[rest.index(after: rest.startIndex)..<end]
      portText = rest[rest.index(end, offsetBy: 2)...]
      guard let address = ipv6(host) else {
        throw Status(.invalidArgument, "address '\(shown(text))': '\(shown(host))' is not an IPv6 address")
      }
      return [address.with(port: try port(portText, of: text))]
    }
    guard let colon = rest.lastIndex(of: ":") else {
      throw Status(.invalidArgument, "address '\(shown(text))': the port is missing, expected tcp://HOST:PORT")
    }
    host = rest[..<colon]
    portText = rest[rest.index(after: colon)...]
    guard !host.contains(":") else {
      throw Status(
        .invalidArgument, "address '\(shown(text))': an IPv6 address is written in brackets, tcp://[::1]:8001")
    }
    guard !host.isEmpty else {
      throw Status(
        .invalidArgument,
        "address '\(shown(text))': the host is missing; all addresses are tcp://0.0.0.0:PORT or tcp://[::]:PORT")
    }
    let port = try port(portText, of: text)
    if let address = ipv4(host) { return [address.with(port: port)] }
    let found = try lookUp(String(host), of: text).map { $0.with(port: port) }
    guard host == "localhost" else { return found }
    // The usual meaning comes first, whatever the order of /etc/hosts.
    let usual = SocketAddress.ipv4(address: 0x7F00_0001, port: port)
    return [usual] + found.filter { $0 != usual }
  }

  private static func unixAddress(_ text: String) throws(Status) -> SocketAddress {
    var path = text.dropFirst("unix:".count)
    if path.hasPrefix("//") { path = path.dropFirst(2) }
    guard !path.isEmpty, !path.utf8.contains(0) else {
      throw Status(.invalidArgument, "address '\(shown(text))': expected unix:PATH, for example unix:/run/martlet.sock")
    }
    guard path.utf8.count <= maxUnixPathBytes else {
      throw Status(
        .invalidArgument,
        "address '\(shown(text))': the path has \(path.utf8.count) bytes, a Unix socket's may have \(maxUnixPathBytes)")
    }
    return .unix(path: String(path))
  }

  private static func port(_ text: Substring, of url: String) throws(Status) -> UInt16 {
    guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = UInt16(text) else {
      throw Status(
        .invalidArgument, "address '\(shown(url))': port '\(shown(text))' is not a number from 0 to 65535")
    }
    return port
  }

  private static func ipv4(_ text: Substring) -> SocketAddress? {
    var address = in_addr()
    guard inet_pton(AF_INET, String(text), &address) == 1 else { return nil }
    return .ipv4(address: UInt32(bigEndian: address.s_addr), port: 0)
  }

  private static func ipv6(_ text: Substring) -> SocketAddress? {
    let parts = text.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
    var scope: UInt32 = 0
    if parts.count == 2 {
      scope = UInt32(parts[1]) ?? if_nametoindex(String(parts[1]))
      guard scope != 0 else { return nil }
    }
    var address = in6_addr()
    guard inet_pton(AF_INET6, String(parts[0]), &address) == 1 else { return nil }
    let (high, low) = halves(of: address)
    return .ipv6(high: high, low: low, scope: scope, port: 0)
  }

  private static func lookUp(_ name: String, of url: String) throws(Status) -> [SocketAddress] {
    var hints = addrinfo()
    hints.ai_family = AF_UNSPEC
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    let result = getaddrinfo(name, nil, &hints, &list)
    defer { if let list { freeaddrinfo(list) } }
    var found: [SocketAddress] = []
    var next = result == 0 ? list : nil
    while let entry = next {
      if let address = entry.pointee.ai_addr,
        let socketAddress = SocketAddress(address, length: entry.pointee.ai_addrlen), !found.contains(socketAddress)
      {
        found.append(socketAddress)
      }
      next = entry.pointee.ai_next
    }
    guard !found.isEmpty else {
      let why = result == 0 ? "no address" : String(cString: gai_strerror(result))
      throw Status(.unavailable, "address '\(shown(url))': host '\(shown(name))' was not found: \(why)")
    }
    return found
  }

  /// A part of foreign text, short enough for a message.
  private static func shown(_ text: some StringProtocol) -> String {
    text.utf8.count <= 200 ? String(text) : "\(text.prefix(200))…"
  }
}

extension SocketAddress: CustomStringConvertible {
  /// The URL that `parse` reads.
  public var description: String {
    switch self {
    case .ipv4, .ipv6: "tcp://\(host):\(port ?? 0)"
    case .unix(let path): "unix:\(path)"
    }
  }

  /// The host as a URL shows it: an IPv6 address in brackets; the path of a Unix-domain socket.
  public var host: String {
    switch self {
    case .ipv4(let address, _):
      return "\(address >> 24).\(address >> 16 & 255).\(address >> 8 & 255).\(address & 255)"
    case .ipv6(let high, let low, let scope, _):
      var address = Self.in6Address(high: high, low: low)
      var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
      inet_ntop(AF_INET6, &address, &text, socklen_t(text.count))
      let shown = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      return scope == 0 ? "[\(shown)]" : "[\(shown)%\(scope)]"
    case .unix(let path):
      return path
    }
  }
}
