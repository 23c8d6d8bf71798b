import CLinux
import Glibc

/// Sets an integer option of a socket; false and `errno` when the kernel refuses.
func setOption(_ descriptor: Int32, _ level: Int32, _ option: Int32, _ value: Int32) -> Bool {
  var value = value
  return setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size)) == 0
}

/// Takes the error that a socket has waiting; 0 for none.
func takeError(of descriptor: Int32) -> Int32 {
  var error: Int32 = 0
  var length = socklen_t(MemoryLayout<Int32>.size)
  return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : errno
}

/// A stream socket for `address`: non-blocking, closed on exec, without Nagle's delay, IPv6 without IPv4 inside.
///
/// A connection accepted from it has the same options. Returns -1 and `errno` when the system has no socket left.
func makeStreamSocket(for address: SocketAddress) -> Int32 {
  let flags = SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue
  let descriptor = socket(address.family, Int32(flags), 0)
  guard descriptor >= 0, !address.isUnix else { return descriptor }
  setTCPOptions(descriptor)
  if case .ipv6 = address { _ = setOption(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1) }
  return descriptor
}

/// Gives a stream socket that somebody else made what `makeStreamSocket` gives.
func prepareStreamSocket(_ descriptor: Int32, isUnix: Bool) {
  _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
  _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
  if !isUnix { setTCPOptions(descriptor) }
}

/// These cannot fail on a TCP socket.
private func setTCPOptions(_ descriptor: Int32) {
  _ = setOption(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
  _ = setOption(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1)
}
