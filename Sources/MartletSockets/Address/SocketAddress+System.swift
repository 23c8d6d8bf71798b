import Glibc

/// Between `SocketAddress` and the kernel's `sockaddr`.
extension SocketAddress {
  /// Most bytes of a Unix-domain socket's path; the kernel's field holds one more for the final NUL.
  static let maxUnixPathBytes = MemoryLayout.size(ofValue: sockaddr_un().sun_path) - 1

  var family: Int32 {
    switch self {
    case .ipv4: AF_INET
    case .ipv6: AF_INET6
    case .unix: AF_UNIX
    }
  }

  /// Reads what the kernel or the resolver wrote; nil for another family or a short length.
  init?(_ address: UnsafePointer<sockaddr>, length: socklen_t) {
    let bytes = UnsafeRawBufferPointer(start: address, count: Int(length))
    guard bytes.count >= MemoryLayout<sa_family_t>.size else { return nil }
    switch Int32(bytes.loadUnaligned(as: sa_family_t.self)) {
    case AF_INET where bytes.count >= MemoryLayout<sockaddr_in>.size:
      let v4 = bytes.loadUnaligned(as: sockaddr_in.self)
      self = .ipv4(address: UInt32(bigEndian: v4.sin_addr.s_addr), port: UInt16(bigEndian: v4.sin_port))
    case AF_INET6 where bytes.count >= MemoryLayout<sockaddr_in6>.size:
      let v6 = bytes.loadUnaligned(as: sockaddr_in6.self)
      let (high, low) = Self.halves(of: v6.sin6_addr)
      self = .ipv6(high: high, low: low, scope: v6.sin6_scope_id, port: UInt16(bigEndian: v6.sin6_port))
    case AF_UNIX:
      let path = bytes.dropFirst(MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 2).prefix { $0 != 0 }
      self = .unix(path: String(decoding: path, as: UTF8.self))
    default:
      return nil
    }
  }

  /// Calls `body` with the address as the kernel wants it.
  func withSystemAddress<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
    switch self {
    case .ipv4(let address, let port):
      var v4 = sockaddr_in()
      v4.sin_family = sa_family_t(AF_INET)
      v4.sin_port = port.bigEndian
      v4.sin_addr.s_addr = address.bigEndian
      return Self.pass(&v4, MemoryLayout<sockaddr_in>.size, to: body)
    case .ipv6(let high, let low, let scope, let port):
      var v6 = sockaddr_in6()
      v6.sin6_family = sa_family_t(AF_INET6)
      v6.sin6_port = port.bigEndian
      v6.sin6_scope_id = scope
      v6.sin6_addr = Self.in6Address(high: high, low: low)
      return Self.pass(&v6, MemoryLayout<sockaddr_in6>.size, to: body)
    case .unix(let path):
      var unix = sockaddr_un()
      unix.sun_family = sa_family_t(AF_UNIX)
      let offset = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 2
      let bytes = Array(path.utf8.prefix(Self.maxUnixPathBytes))
      withUnsafeMutableBytes(of: &unix) { $0[offset...].copyBytes(from: bytes) }
      return Self.pass(&unix, offset + bytes.count + 1, to: body)
    }
  }

  private static func pass<Address, Result>(
    _ address: inout Address, _ size: Int, to body: (UnsafePointer<sockaddr>, socklen_t) -> Result
  ) -> Result {
    withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(size)) }
    }
  }

  /// What a socket call that fills in an address filled in; nil when it failed.
  static func filled(
    by call: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
  ) -> SocketAddress? {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    return withUnsafeMutablePointer(to: &storage) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        guard call(address, &length) >= 0 else { return nil }
        return SocketAddress(address, length: length)
      }
    }
  }

  static func halves(of address: in6_addr) -> (high: UInt64, low: UInt64) {
    withUnsafeBytes(of: address) {
      (
        UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
        UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
      )
    }
  }

  static func in6Address(high: UInt64, low: UInt64) -> in6_addr {
    var address = in6_addr()
    withUnsafeMutableBytes(of: &address) {
      $0.storeBytes(of: high.bigEndian, toByteOffset: 0, as: UInt64.self)
      $0.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
    }
    return address
  }
}
