import FlyingSocks
import Glibc

/// A resolved address of the endpoint.
enum AdminAddress: Sendable {
  case ipv4(sockaddr_in)
  case ipv6(sockaddr_in6)

  /// The first address that the resolver gives for `host`; nil when it gives none. May wait for the network.
  init?(host: String, port: UInt16) {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_flags = AI_PASSIVE
    var list: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(host, String(port), &hints, &list) == 0 else { return nil }
    defer { freeaddrinfo(list) }
    var found: AdminAddress?
    var next = list
    while let entry = next, found == nil {
      if let address = entry.pointee.ai_addr {
        let bytes = UnsafeRawPointer(address)
        switch entry.pointee.ai_family {
        case AF_INET: found = .ipv4(bytes.loadUnaligned(as: sockaddr_in.self))
        case AF_INET6: found = .ipv6(bytes.loadUnaligned(as: sockaddr_in6.self))
        default: break
        }
      }
      next = entry.pointee.ai_next
    }
    guard let found else { return nil }
    self = found
  }

  /// Whether only this machine reaches it.
  var isLoopback: Bool {
    switch self {
    case .ipv4(let address): UInt32(bigEndian: address.sin_addr.s_addr) >> 24 == 127
    case .ipv6(var address):
      withUnsafeBytes(of: &address.sin6_addr) { bytes in bytes.last == 1 && bytes.dropLast().allSatisfy { $0 == 0 } }
    }
  }

  /// The same address with another port.
  func with(port: UInt16) -> AdminAddress {
    switch self {
    case .ipv4(var address):
      address.sin_port = port.bigEndian
      return .ipv4(address)
    case .ipv6(var address):
      address.sin6_port = port.bigEndian
      return .ipv6(address)
    }
  }

  var socketAddress: any SocketAddress {
    switch self {
    case .ipv4(let address): address
    case .ipv6(let address): address
    }
  }
}
