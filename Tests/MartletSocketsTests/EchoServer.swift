import Dispatch
import Glibc
import MartletCore
import Synchronization
import Testing

@testable import MartletSockets

/// The parent of all tests that open sockets: one after the other, so that descriptors can be counted.
@Suite("Real sockets", .serialized)
enum RealSockets {}

/// Waits until `condition` holds, 10 s at most; false when it never did.
func eventually(_ condition: () -> Bool) -> Bool {
  for _ in 0..<30_000 {
    if condition() { return true }
    usleep(2_000)
  }
  return condition()
}

/// Answers whole messages with themselves, or does what `answer` says, and notes what it is told.
///
/// `@unchecked Sendable`: confined to the reactor's thread, but for what is locked or set before the start.
final class EchoHandler: ReactorHandler, @unchecked Sendable {
  enum Event: Equatable {
    case opened
    case finished
    case closed(String)
    case timer(UInt64)
  }

  typealias Answer = (Reactor, ConnectionHandle, UnsafeRawBufferPointer) -> Int

  unowned let reactor: Reactor
  var messageBytes = 1
  var answer: Answer?
  var closesWhenPeerFinishes = true
  var mayCloseIdle = true
  var roundsLeft = 0
  let events = Mutex<[Event]>([])
  let handles = Mutex<[ConnectionHandle]>([])
  let peers = Mutex<[PeerInfo]>([])
  let rounds = Counter()

  init(_ reactor: Reactor) { self.reactor = reactor }

  func opened(_ connection: ConnectionHandle, peer: PeerInfo) {
    handles.withLock { $0.append(connection) }
    peers.withLock { $0.append(peer) }
    note(.opened)
  }

  func received(_ connection: ConnectionHandle, bytes: UnsafeRawBufferPointer) -> Int {
    if let answer { return answer(reactor, connection, bytes) }
    let whole = bytes.count / messageBytes * messageBytes
    if whole > 0 { reactor.send(UnsafeRawBufferPointer(rebasing: bytes[..<whole]), on: connection) }
    return whole
  }

  func peerFinished(_ connection: ConnectionHandle) {
    note(.finished)
    if closesWhenPeerFinishes { reactor.close(connection, reason: .peerClosed, afterFlush: true) }
  }

  func closed(_ connection: ConnectionHandle, reason: CloseReason) { note(.closed(reason.name)) }

  func roundEnded(now: MonotonicTime) -> Bool {
    rounds.add()
    roundsLeft = max(0, roundsLeft - 1)
    return roundsLeft > 0
  }

  func timerFired(token: UInt64, now: MonotonicTime) { note(.timer(token)) }

  func mayCloseIdle(_ connection: ConnectionHandle) -> Bool { mayCloseIdle }

  private func note(_ event: Event) { events.withLock { $0.append(event) } }

  func saw(_ event: Event) -> Bool { eventually { events.withLock { $0.contains(event) } } }
}

extension Reactor {
  /// Copies `bytes` into the output; false when the connection does not take them.
  @discardableResult
  func send(_ bytes: UnsafeRawBufferPointer, on connection: ConnectionHandle) -> Bool {
    guard let room = reserve(connection, bytes.count) else { return false }
    if let source = bytes.baseAddress { room.copyMemory(from: source, byteCount: bytes.count) }
    commit(connection, bytes.count)
    return true
  }

  /// Runs `work` on the reactor's thread and returns its result.
  func run<Result: Sendable>(_ work: @escaping @Sendable () -> Result) -> Result? {
    let result = Mutex<Result?>(nil)
    let done = DispatchSemaphore(value: 0)
    let isPosted = post {
      let value = work()
      result.withLock { $0 = value }
      done.signal()
    }
    guard isPosted else { return nil }
    done.wait()
    return result.withLock { $0 }
  }
}

/// Reactors with an echo each, and a listener in front of them.
final class EchoServer: Sendable {
  let reactors: [Reactor]
  let handlers: [EchoHandler]
  let listener: Listener
  let limiter: ConnectionLimiter
  let refusals = Mutex<[RefusalReason]>([])

  var reactor: Reactor { reactors[0] }
  var handler: EchoHandler { handlers[0] }
  var address: SocketAddress { listener.address }

  init(
    _ poller: PollerKind, _ url: String = "tcp://127.0.0.1:0", reactors count: Int = 1,
    limits: SocketLimits = SocketLimits(), prepare: (EchoHandler) -> Void = { _ in },
    accept: Acceptor.AcceptCall? = nil, listener given: Listener? = nil
  ) throws {
    reactors = (0..<count).map {
      Reactor(index: $0, poller: poller, limits: limits, statistics: SocketStatistics(reactor: $0))
    }
    handlers = reactors.map { EchoHandler($0) }
    for (reactor, handler) in zip(reactors, handlers) {
      prepare(handler)
      reactor.setHandler(handler)
      reactor.start()
    }
    let address = try SocketAddress.parse(url)
    listener =
      if let given {
        given
      } else if let accept {
        try Listener(address: address, backlog: 128, unixMode: 0o600, acceptCall: accept)
      } else {
        try Listener(address: address)
      }
    limiter = ConnectionLimiter(limits: limits)
    listener.start(on: reactors[0], reactors: reactors, limiter: limiter) { [weak self] reason, _ in
      self?.refusals.withLock { $0.append(reason) }
    }
  }

  func stop() {
    listener.drainAndClose()
    for reactor in reactors { reactor.stop() }
  }

  /// Connections of all reactors.
  var connectionCount: Int { reactors.reduce(0) { $0 + $1.connectionCount } }
}

/// A blocking client's socket; it waits for at most 10 s.
final class Client: Sendable {
  let descriptor: Int32

  init(_ address: SocketAddress) throws {
    descriptor = socket(address.family, Int32(SOCK_STREAM.rawValue), 0)
    var timeout = timeval(tv_sec: 60, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    let descriptor = descriptor
    guard address.withSystemAddress({ connect(descriptor, $0, $1) }) == 0 else {
      throw Status(.unavailable, "connect to \(address): \(errorText(errno))")
    }
  }

  deinit { close(descriptor) }

  /// Sends as much as the peer takes; returns how much that was.
  @discardableResult
  func send(_ bytes: [UInt8]) -> Int {
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { break }
      sent += count
    }
    return sent
  }

  /// The next bytes, fewer when the peer ends before.
  func receive(_ count: Int) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var got = 0
    while got < count {
      let more = bytes.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress! + got, count - got, 0) }
      guard more > 0 else { return Array(bytes[..<got]) }
      got += more
    }
    return bytes
  }

  func finish() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// Makes closing a reset.
  func resetOnClose() {
    var value = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &value, socklen_t(MemoryLayout<linger>.size))
  }

  /// Whether the peer ends the connection, rather than nothing coming.
  func isEnded() -> Bool {
    var byte: UInt8 = 0
    let count = recv(descriptor, &byte, 1, 0)
    return count == 0 || (count < 0 && errno == ECONNRESET)
  }

  /// Whether the peer answers `byte` with itself.
  func echoes(_ byte: UInt8) -> Bool {
    send([byte])
    return receive(1) == [byte]
  }
}

/// A path for a Unix-domain socket that no other test uses.
func socketPath(_ name: String) -> String {
  let path = "/tmp/martlet-sockets-\(getpid())-\(name).sock"
  unlink(path)
  return path
}

/// Open descriptors of this process.
func openDescriptors() -> Int {
  guard let directory = opendir("/proc/self/fd") else { return -1 }
  defer { closedir(directory) }
  var count = 0
  while readdir(directory) != nil { count += 1 }
  return count
}

func hasIPv6Loopback() -> Bool {
  guard let address = try? SocketAddress.parse("tcp://[::1]:0") else { return false }
  return (try? Listener(address: address)) != nil
}
