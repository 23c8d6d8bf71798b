import FlyingFox
import FlyingSocks
import Glibc
import Synchronization

/// The library's poller with what the library lacks: no waiting for the peer's acknowledgement between header and
/// body (`TCP_NODELAY`), an end to silent connections, and a bound on how many there are.
final class AdminSocketPool: AsyncSocketPool {
  private let base: any AsyncSocketPool
  private let idleTimeout: Duration
  private let maximumConnections: Int
  private let waiting = Mutex(0)

  init(_ base: any AsyncSocketPool, idleTimeout: Duration, maximumConnections: Int) {
    self.base = base
    self.idleTimeout = idleTimeout
    self.maximumConnections = maximumConnections
  }

  func prepare() async throws { try await base.prepare() }

  func run() async throws { try await base.run() }

  func suspendSocket(_ socket: Socket, untilReadyFor events: Socket.Events) async throws {
    // The library has no hook for new sockets, and this is where each of them comes by first.
    var on: Int32 = 1
    setsockopt(
      socket.file.rawValue, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    if Self.isListening(socket) { return try await base.suspendSocket(socket, untilReadyFor: events) }
    let count = waiting.withLock {
      $0 += 1
      return $0
    }
    defer { waiting.withLock { $0 -= 1 } }
    guard count <= maximumConnections else { throw SocketError.disconnected }
    try await withThrowingTaskGroup(of: Void.self) { [base, idleTimeout] group in
      group.addTask { try await base.suspendSocket(socket, untilReadyFor: events) }
      group.addTask {
        try await Task.sleep(for: idleTimeout)
        throw SocketError.disconnected
      }
      defer { group.cancelAll() }
      try await group.next()
    }
  }

  private static func isListening(_ socket: Socket) -> Bool {
    var value: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    return getsockopt(socket.file.rawValue, SOL_SOCKET, SO_ACCEPTCONN, &value, &length) == 0 && value != 0
  }
}
