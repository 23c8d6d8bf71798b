import Dispatch
import Glibc
import MartletCore
import Synchronization
import Testing

@testable import MartletSockets

/// Answers every byte with itself; a first byte of 'q' ends the connection after the answer, 'b' answers a lot.
private final class Echo: ReactorHandler, @unchecked Sendable {
  // `@unchecked Sendable`: confined to the reactor's thread, but for `events`.
  enum Event: Equatable {
    case opened
    case finished
    case closed(String)
  }

  unowned let reactor: Reactor
  let events = Mutex<[Event]>([])
  /// Consumes only whole messages of this many bytes.
  let messageBytes: Int
  var answerBytes = 0

  init(_ reactor: Reactor, messageBytes: Int) {
    self.reactor = reactor
    self.messageBytes = messageBytes
  }

  func opened(_ connection: ConnectionHandle, peer: PeerInfo) { events.withLock { $0.append(.opened) } }

  func received(_ connection: ConnectionHandle, bytes: UnsafeRawBufferPointer) -> Int {
    let whole = bytes.count / messageBytes * messageBytes
    guard whole > 0 else { return 0 }
    let copies = bytes[0] == UInt8(ascii: "b") ? 100_000 : 1
    for _ in 0..<copies {
      guard let room = reactor.reserve(connection, whole) else { return whole }
      room.copyMemory(from: bytes.baseAddress!, byteCount: whole)
      reactor.commit(connection, whole)
    }
    if bytes[0] == UInt8(ascii: "q") { reactor.close(connection, reason: .local, afterFlush: true) }
    return whole
  }

  func peerFinished(_ connection: ConnectionHandle) {
    events.withLock { $0.append(.finished) }
    reactor.close(connection, reason: .peerClosed, afterFlush: true)
  }

  func closed(_ connection: ConnectionHandle, reason: CloseReason) {
    events.withLock { $0.append(.closed(reason.name)) }
  }

  func roundEnded(now: MonotonicTime) -> Bool { false }
  func timerFired(token: UInt64, now: MonotonicTime) {}
}

/// A reactor that echoes, and its listener.
private struct EchoServer {
  let reactor: Reactor
  let listener: Listener
  let handler: Echo
  let limiter: ConnectionLimiter
  let refused = Refusals()

  final class Refusals: Sendable { let reasons = Mutex<[RefusalReason]>([]) }

  init(
    _ poller: PollerKind, _ address: String = "tcp://127.0.0.1:0", limits: SocketLimits = SocketLimits(),
    messageBytes: Int = 1
  ) throws {
    reactor = Reactor(index: 0, poller: poller, limits: limits, statistics: SocketStatistics(reactor: 0))
    handler = Echo(reactor, messageBytes: messageBytes)
    reactor.setHandler(handler)
    listener = try Listener(address: SocketAddress.parse(address))
    limiter = ConnectionLimiter(limits: limits)
    reactor.start()
    let refused = self.refused
    listener.start(
      on: reactor, reactors: [reactor], limiter: limiter,
      refused: { reason, _ in refused.reasons.withLock { $0.append(reason) } })
  }

  func stop() {
    listener.drainAndClose()
    reactor.stop()
  }

  func waits(for condition: () -> Bool) -> Bool {
    for _ in 0..<1_000 {
      if condition() { return true }
      usleep(5_000)
    }
    return condition()
  }

  func saw(_ event: Echo.Event) -> Bool { waits { handler.events.withLock { $0.contains(event) } } }
}

/// A blocking client socket with a receive timeout.
private final class Client {
  let descriptor: Int32

  init(_ address: SocketAddress) throws {
    descriptor = socket(address.family, Int32(SOCK_STREAM.rawValue), 0)
    var timeout = timeval(tv_sec: 10, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    let outcome = address.withSystemAddress { connect(descriptor, $0, $1) }
    try #require(outcome == 0)
  }

  deinit { close(descriptor) }

  func send(_ bytes: [UInt8]) {
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return }
      sent += count
    }
  }

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

  /// Whether the peer ends the connection, rather than nothing coming.
  func isEnded() -> Bool {
    var byte: UInt8 = 0
    let count = recv(descriptor, &byte, 1, 0)
    return count == 0 || (count < 0 && errno == ECONNRESET)
  }
}

private func openDescriptors() -> Int {
  var count = 0
  guard let directory = opendir("/proc/self/fd") else { return -1 }
  defer { closedir(directory) }
  while readdir(directory) != nil { count += 1 }
  return count
}

@Suite("Reactor", .serialized)
struct ReactorTests {
  @Test(
    "bytes come back over TCP and Unix sockets", arguments: PollerKind.allCases,
    ["tcp://127.0.0.1:0", "tcp://[::1]:0", "unix"])
  func echo(_ poller: PollerKind, _ address: String) throws {
    let path = "/tmp/martlet-test-\(getpid())-\(poller.rawValue).sock"
    let server = try EchoServer(poller, address == "unix" ? "unix:\(path)" : address)
    defer { server.stop() }
    let client = try Client(server.listener.address)
    for size in [1, 100, 70_000, 1_000_000] {
      let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ 1) | 0x80 }
      DispatchQueue.global().async { [descriptor = client.descriptor] in
        bytes.withUnsafeBytes { buffer in
          var sent = 0
          while sent < buffer.count {
            let count = send(descriptor, buffer.baseAddress! + sent, buffer.count - sent, Int32(MSG_NOSIGNAL))
            guard count > 0 else { return }
            sent += count
          }
        }
      }
      #expect(client.receive(size) == bytes)
    }
    #expect(server.reactor.connectionCount == 1)
  }

  @Test("a message split anywhere is kept until it is whole", arguments: PollerKind.allCases)
  func split(_ poller: PollerKind) throws {
    let server = try EchoServer(poller, messageBytes: 10)
    defer { server.stop() }
    let client = try Client(server.listener.address)
    let message = Array("0123456789".utf8)
    for cut in 1..<10 {
      client.send(Array(message[..<cut]))
      usleep(2_000)
      client.send(Array(message[cut...]))
      #expect(client.receive(10) == message)
    }
    client.send(message + message + message)
    #expect(client.receive(30) == message + message + message)
  }

  @Test("a peer that shuts down its side still gets the answer", arguments: PollerKind.allCases)
  func halfClose(_ poller: PollerKind) throws {
    let server = try EchoServer(poller)
    defer { server.stop() }
    let client = try Client(server.listener.address)
    client.send([200, 201])
    shutdown(client.descriptor, Int32(SHUT_WR))
    #expect(client.receive(2) == [200, 201])
    #expect(client.isEnded())
    #expect(server.saw(.finished))
    #expect(server.saw(.closed("peer_closed")))
  }

  @Test("a connection that the server ends gets its last answer", arguments: PollerKind.allCases)
  func lastAnswer(_ poller: PollerKind) throws {
    let server = try EchoServer(poller)
    defer { server.stop() }
    let client = try Client(server.listener.address)
    client.send(Array("q".utf8) + [UInt8](repeating: 1, count: 20_000))
    #expect(client.receive(1) == Array("q".utf8))
    #expect(server.saw(.closed("local")))
  }

  @Test("a peer that does not read costs a bounded buffer and is dropped", arguments: PollerKind.allCases)
  func slowReader(_ poller: PollerKind) throws {
    var limits = SocketLimits()
    limits.maxWriteBufferBytes = 1 << 20
    let server = try EchoServer(poller, limits: limits)
    defer { server.stop() }
    let client = try Client(server.listener.address)
    client.send([UInt8](repeating: UInt8(ascii: "b"), count: 1_000))
    #expect(server.saw(.closed("slow_reader")))
    let other = try Client(server.listener.address)
    other.send([7])
    #expect(other.receive(1) == [7])
  }

  @Test("each timeout ends the connections that it is about", arguments: PollerKind.allCases)
  func timeouts(_ poller: PollerKind) throws {
    var limits = SocketLimits()
    limits.firstByteTimeout = .milliseconds(50)
    var server = try EchoServer(poller, limits: limits)
    var client = try Client(server.listener.address)
    #expect(client.isEnded())
    #expect(server.saw(.closed("first_byte_timeout")))
    server.stop()

    limits = SocketLimits()
    limits.idleTimeout = .milliseconds(50)
    server = try EchoServer(poller, limits: limits)
    client = try Client(server.listener.address)
    client.send([9])
    #expect(client.receive(1) == [9])
    #expect(client.isEnded())
    #expect(server.saw(.closed("idle")))
    server.stop()

    limits = SocketLimits()
    limits.frameTimeout = .milliseconds(50)
    server = try EchoServer(poller, limits: limits, messageBytes: 10)
    client = try Client(server.listener.address)
    client.send([1, 2, 3])
    #expect(client.isEnded())
    #expect(server.saw(.closed("slow_writer")))
    server.stop()
  }

  @Test("connections over the limits are closed at once, and room comes back", arguments: PollerKind.allCases)
  func limits(_ poller: PollerKind) throws {
    var limits = SocketLimits()
    limits.maxConnectionsPerAddress = 2
    let server = try EchoServer(poller, limits: limits)
    defer { server.stop() }
    var clients = [try Client(server.listener.address), try Client(server.listener.address)]
    for client in clients {
      client.send([1])
      #expect(client.receive(1) == [1])
    }
    #expect(try Client(server.listener.address).isEnded())
    #expect(server.refused.reasons.withLock { $0 } == [.addressLimit])
    clients.removeLast()
    #expect(server.waits { server.reactor.connectionCount == 1 })
    let next = try Client(server.listener.address)
    next.send([2])
    #expect(next.receive(1) == [2])
  }

  @Test("many connections leave no descriptor behind", arguments: PollerKind.allCases)
  func descriptors(_ poller: PollerKind) throws {
    let server = try EchoServer(poller)
    defer { server.stop() }
    for _ in 0..<20 {
      let client = try Client(server.listener.address)
      client.send([1])
      #expect(client.receive(1) == [1])
    }
    #expect(server.waits { server.reactor.connectionCount == 0 })
    let before = openDescriptors()
    for _ in 0..<500 {
      let client = try Client(server.listener.address)
      client.send([1])
      #expect(client.receive(1) == [1])
    }
    #expect(server.waits { server.reactor.connectionCount == 0 && openDescriptors() <= before + 2 })
  }

  @Test("a taken port is an error that names it and what to do", arguments: ["tcp://127.0.0.1:0", "unix"])
  func taken(_ address: String) throws {
    let path = "/tmp/martlet-test-\(getpid())-taken.sock"
    let first = try EchoServer(.epoll, address == "unix" ? "unix:\(path)" : address)
    defer { first.stop() }
    let taken = first.listener.address
    let error = #expect(throws: Status.self) { try Listener(address: taken) }
    #expect(error?.message.contains("in use") == true)
    #expect(error?.message.contains("--listen") == true)
    if let port = taken.port { #expect(error?.message.contains("\(port)") == true) }
  }

  @Test("the socket file of a server that is gone is replaced")
  func stale() throws {
    let path = "/tmp/martlet-test-\(getpid())-stale.sock"
    unlink(path)
    let address = try SocketAddress.parse("unix:\(path)")
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    #expect(address.withSystemAddress { bind(descriptor, $0, $1) } == 0)
    close(descriptor)
    let server = try EchoServer(.epoll, "unix:\(path)")
    let client = try Client(server.listener.address)
    client.send([5])
    #expect(client.receive(1) == [5])
    server.stop()
    #expect(access(path, F_OK) != 0)
  }

  @Test("connecting from this side opens, or fails with the reason", arguments: PollerKind.allCases)
  func connecting(_ poller: PollerKind) throws {
    let server = try EchoServer(.epoll)
    let reactor = Reactor(index: 1, poller: poller, limits: SocketLimits(), statistics: SocketStatistics(reactor: 1))
    let handler = Echo(reactor, messageBytes: 1)
    reactor.setHandler(handler)
    reactor.start()
    defer { reactor.stop() }
    let address = server.listener.address
    _ = reactor.post { _ = try? reactor.connect(to: address) }
    #expect(server.saw(.opened))
    #expect(server.waits { handler.events.withLock { $0.contains(.opened) } })
    server.stop()
    #expect(server.waits { handler.events.withLock { $0.contains(.finished) || $0.contains(.closed("reset")) } })
    _ = reactor.post { _ = try? reactor.connect(to: address) }
    #expect(server.waits { handler.events.withLock { $0.contains(.closed("connect_failed")) } })
  }

  @Test("work posted from other threads is all done, in order for each of them", arguments: PollerKind.allCases)
  func mailbox(_ poller: PollerKind) throws {
    let reactor = Reactor(index: 0, poller: poller, limits: SocketLimits(), statistics: SocketStatistics(reactor: 0))
    let seen = Seen()
    reactor.start()
    DispatchQueue.concurrentPerform(iterations: 4) { thread in
      for number in 0..<1_000 { _ = reactor.post { seen.numbers.withLock { $0[thread].append(number) } } }
    }
    let server = { seen.numbers.withLock { $0.allSatisfy { $0.count == 1_000 } } }
    for _ in 0..<1_000 where !server() { usleep(5_000) }
    seen.numbers.withLock { for numbers in $0 { #expect(numbers == Array(0..<1_000)) } }
    reactor.stop()
    #expect(!reactor.post {})
  }

  private final class Seen: Sendable { let numbers = Mutex([[Int]](repeating: [], count: 4)) }
}
