import CProtos
import Dispatch
import Glibc
import MartletCore
import MartletSockets
import Synchronization
import Testing

@testable import MartletRPC
@testable import MartletWire

/// Answers at once, later, or never, as the method's name says.
private final class Fake: UnaryService {
  let name = "test.Fake"
  let methods = ["Echo", "Hold", "Fail", "Release", "Gather", "Answer"].map { MethodDescriptor($0) }
  unowned let responder: any Responder
  var held: [CallHead] = []
  var gathered: [CallID] = []
  let cancelled: Cancelled

  final class Cancelled: Sendable { let streams = Mutex<[UInt32]>([]) }

  init(_ responder: any Responder, _ cancelled: Cancelled) {
    self.responder = responder
    self.cancelled = cancelled
  }

  func unary(_ call: CallHead, _ payload: UnsafeRawBufferPointer) throws(Status) {
    switch call.method {
    case 0: answer(call.id, Array(payload))
    case 1: held.append(call)
    case 2: throw Status(.failedPrecondition, "asked to fail")
    case 4: gathered.append(call.id)
    case 5:
      let bytes = Int(payload[0]) << 8 | Int(payload[1])
      gathered.append(call.id)
      gathered.withUnsafeBufferPointer { ids in
        let run = CallRun(first: ids.baseAddress!, stride: MemoryLayout<CallID>.stride, count: ids.count)
        responder.answer(run, bytes: bytes, now: .now()) { answers in
          for (place, index) in answers.calls.enumerated() {
            let target = answers.target + place * answers.stride
            target.initializeMemory(
              as: UInt8.self, repeating: UInt8(truncatingIfNeeded: ids[index].stream), count: bytes)
          }
        }
      }
      gathered = []
    default:
      for call in held { answer(call.id, [UInt8(truncatingIfNeeded: call.id.stream)]) }
      held = []
      answer(call.id, [])
    }
  }

  func cancel(_ call: CallID) { cancelled.streams.withLock { $0.append(call.stream) } }

  private func answer(_ call: CallID, _ bytes: [UInt8]) {
    guard let room = responder.message(call, bytes: bytes.count) else { return }
    bytes.withUnsafeBytes { if let start = $0.baseAddress { room.copyMemory(from: start, byteCount: $0.count) } }
    responder.finish(call)
  }
}

private struct Bench {
  let reactor: Reactor
  let listener: Listener
  let server: RPCServer
  let arena = MessageArena(capBytes: 1 << 20)
  let cancelled = Fake.Cancelled()
  let service: Fake

  init(_ poller: PollerKind, _ limits: RPCLimits = RPCLimits()) throws {
    reactor = Reactor(index: 3, poller: poller, limits: SocketLimits(), statistics: SocketStatistics(reactor: 3))
    server = RPCServer(reactor: reactor, limits: limits, arena: arena)
    service = Fake(server, cancelled)
    server.serve([service], workers: [])
    reactor.setHandler(server)
    listener = try Listener(address: SocketAddress.parse("tcp://127.0.0.1:0"))
    reactor.start()
    listener.start(on: reactor, reactors: [reactor])
  }

  func stop() {
    listener.drainAndClose()
    reactor.stop()
  }
}

/// Speaks frames over a blocking socket.
private final class Client {
  struct Answer: Equatable {
    var stream: UInt32
    var code: Int32
    var payload: [UInt8]
  }

  let descriptor: Int32
  private var unread: [UInt8] = []

  init(_ address: SocketAddress) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var timeout = timeval(tv_sec: 60, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    var v4 = sockaddr_in()
    v4.sin_family = sa_family_t(AF_INET)
    v4.sin_port = try #require(address.port).bigEndian
    v4.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let outcome = withUnsafePointer(to: &v4) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    try #require(outcome == 0)
  }

  deinit { close(descriptor) }

  func closesWithReset() {
    var linger = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
  }

  static func frame(
    _ stream: UInt32, _ method: String, service: String = "test.Fake", payload: [UInt8] = [], timeout: Int64 = 0
  ) -> [UInt8] {
    var message = ProtoBuffer()
    message.string(1, service)
    message.string(2, method)
    message.data(3, payload)
    message.integer(4, timeout)
    var head = [UInt8](repeating: 0, count: TTRPCFrame.headerBytes)
    head.withUnsafeMutableBytes {
      TTRPCFrame(dataBytes: UInt32(message.bytes.count), stream: stream, kind: TTRPCFrame.Kind.request)
        .write(to: $0.baseAddress!)
    }
    return head + message.bytes
  }

  func send(_ bytes: [UInt8]) {
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return }
      sent += count
    }
  }

  func answer() throws -> Answer {
    while true {
      if let frame = unread.withUnsafeBytes({ TTRPCFrame($0) }),
        unread.count >= TTRPCFrame.headerBytes + Int(frame.dataBytes)
      {
        let end = TTRPCFrame.headerBytes + Int(frame.dataBytes)
        let data = Array(unread[TTRPCFrame.headerBytes..<end])
        unread.removeFirst(end)
        return Self.read(frame.stream, data)
      }
      var buffer = [UInt8](repeating: 0, count: 65_536)
      let count = recv(descriptor, &buffer, buffer.count, 0)
      try #require(count > 0)
      unread += buffer[..<count]
    }
  }

  private static func read(_ stream: UInt32, _ data: [UInt8]) -> Answer {
    var answer = Answer(stream: stream, code: 0, payload: [])
    data.withUnsafeBytes { bytes in
      var reader = ProtoReader(bytes)
      while let (field, _) = reader.tag() {
        guard let value = reader.delimited() else { return }
        if field == 2 { answer.payload = Array(value) }
        if field == 1 {
          var status = ProtoReader(value)
          while let (number, wire) = status.tag() {
            if number == 1, wire == .varint {
              answer.code = Int32(truncatingIfNeeded: status.varint() ?? 0)
            } else if !status.skip(wire) {
              return
            }
          }
        }
      }
    }
    return answer
  }

  func isEnded() -> Bool {
    var byte: UInt8 = 0
    return recv(descriptor, &byte, 1, 0) == 0
  }
}

@Suite("Calls over a socket", .serialized)
struct RPCServerTests {
  @Test("many calls in flight are each answered once, by their streams", arguments: PollerKind.allCases)
  func pipelined(_ poller: PollerKind) throws {
    let bench = try Bench(poller)
    defer { bench.stop() }
    let client = try Client(bench.listener.address)
    // More than a connection gets of one round.
    let streams = (0..<500).map { UInt32(2 * $0 + 1) }
    client.send(streams.flatMap { Client.frame($0, "Echo", payload: [UInt8(truncatingIfNeeded: $0 >> 1), 9]) })
    for stream in streams {
      #expect(
        try client.answer() == .init(stream: stream, code: 0, payload: [UInt8(truncatingIfNeeded: stream >> 1), 9]))
    }
  }

  @Test(
    "calls that are answered together each get their own answer", arguments: [0, 1, 2, 3, 60, 127, 128, 3000, 9000])
  func answeredTogether(_ bytes: Int) throws {
    let bench = try Bench(.epoll)
    defer { bench.stop() }
    let client = try Client(bench.listener.address)
    let size = [UInt8(bytes >> 8), UInt8(bytes & 0xff)]
    var stream: UInt32 = 1
    for count in [1, 2, 7, 50] {
      let streams = (0..<UInt32(count)).map { stream + 2 * $0 }
      client.send(
        streams.flatMap { $0 == streams.last ? Client.frame($0, "Answer", payload: size) : Client.frame($0, "Gather") })
      for stream in streams {
        let expected = [UInt8](repeating: UInt8(truncatingIfNeeded: stream), count: bytes)
        #expect(try client.answer() == .init(stream: stream, code: 0, payload: expected))
      }
      stream += UInt32(2 * count)
    }
    var collector = MetricCollector()
    bench.server.statistics.collect(into: &collector)
    let counts = collector.samples.compactMap { sample -> UInt64? in
      guard sample.family == "martlet_rpc_call_duration_seconds", case .buckets(_, let counts, _) = sample.value else {
        return nil
      }
      return counts.reduce(0, +)
    }
    #expect(counts.reduce(0, +) == 60)
  }

  @Test("what a large message took goes although nobody calls again", arguments: PollerKind.allCases)
  func arenaAtRest(_ poller: PollerKind) throws {
    let bench = try Bench(poller)
    defer { bench.stop() }
    // Used on the reactor's thread only.
    nonisolated(unsafe) let arena = bench.arena
    let reactor = bench.reactor
    let kept = Mutex<[Bool]>([])
    func look() {
      let before = kept.withLock { $0.count }
      _ = reactor.post { kept.withLock { $0.append(arena.keepsSpare) } }
      for _ in 0..<1_000 where kept.withLock({ $0.count }) == before { usleep(5_000) }
    }
    var message = ProtoBuffer()
    message.data(3, [UInt8](repeating: 1, count: 300_000))
    let bytes = message.bytes
    _ = reactor.post { bytes.withUnsafeBytes { _ = arena.unpack($0, ttrpc__request__unpack) } }
    look()
    look()
    #expect(kept.withLock { $0.last } == true)
    // Not by looking, which makes rounds.
    usleep(4_000_000)
    look()
    #expect(kept.withLock { $0.last } == false)
  }

  @Test("calls of a connection that is gone are passed over when they are answered together")
  func answeredTooLate() throws {
    let bench = try Bench(.epoll)
    defer { bench.stop() }
    var client: Client? = try Client(bench.listener.address)
    client?.send((0..<5).flatMap { Client.frame(2 * $0 + 1, "Gather") } + Client.frame(11, "Echo"))
    #expect(try client?.answer().stream == 11)
    client?.closesWithReset()
    client = nil
    for _ in 0..<1_000 where bench.cancelled.streams.withLock({ $0.count }) < 5 { usleep(5_000) }
    #expect(bench.cancelled.streams.withLock { $0.sorted() } == [1, 3, 5, 7, 9])
    let other = try Client(bench.listener.address)
    other.send(Client.frame(1, "Answer", payload: [0, 4]) + Client.frame(3, "Answer", payload: [0, 4]))
    #expect(try other.answer().stream == 1)
    #expect(try other.answer().stream == 3)
  }

  @Test("a call that is answered in the round that read it has taken time all the same", arguments: PollerKind.allCases)
  func duration(_ poller: PollerKind) throws {
    let bench = try Bench(poller)
    defer { bench.stop() }
    let client = try Client(bench.listener.address)
    client.send(Client.frame(1, "Echo", payload: [7]))
    #expect(try client.answer().payload == [7])
    var collector = MetricCollector()
    bench.server.statistics.collect(into: &collector)
    let sums = collector.samples.compactMap { sample -> Double? in
      guard sample.family == "martlet_rpc_call_duration_seconds", case .buckets(_, _, let sum) = sample.value else {
        return nil
      }
      return sum
    }
    #expect(sums.count == 1)
    #expect(sums.allSatisfy { $0 > 0 })
  }

  @Test("a call split at every byte is the same call", arguments: PollerKind.allCases)
  func split(_ poller: PollerKind) throws {
    let bench = try Bench(poller)
    defer { bench.stop() }
    let client = try Client(bench.listener.address)
    for cut in 1..<Client.frame(1, "Echo", payload: [1, 2, 3]).count {
      let frame = Client.frame(UInt32(2 * cut + 1), "Echo", payload: [1, 2, 3])
      client.send(Array(frame[..<cut]))
      usleep(300)
      client.send(Array(frame[cut...]))
      #expect(try client.answer() == .init(stream: UInt32(2 * cut + 1), code: 0, payload: [1, 2, 3]))
    }
  }

  @Test(
    "what cannot be served gets the right code, and the connection lives",
    arguments: [
      (Client.frame(1, "Nothing"), StatusCode.unimplemented),
      (Client.frame(1, "Echo", service: "no.Such"), .unimplemented),
      (Client.frame(1, "Fail"), .failedPrecondition), (Client.frame(1, "Echo", timeout: -1), .deadlineExceeded),
      (Client.frame(1, "Ec\u{0}ho"), .invalidArgument), (Client.frame(2, "Echo"), .invalidArgument),
      ([0, 0, 0, 2, 0, 0, 0, 1, 1, 0, 0x0a, 9], .invalidArgument),
      ([0, 0x50, 0, 0, 0, 0, 0, 1, 1, 0] + [UInt8](repeating: 0, count: 0x50_0000), .resourceExhausted),
    ])
  func refused(_ frame: [UInt8], _ code: StatusCode) throws {
    let bench = try Bench(.epoll)
    defer { bench.stop() }
    let client = try Client(bench.listener.address)
    client.send(frame)
    #expect(try client.answer().code == code.rawValue)
    client.send(Client.frame(3, "Echo", payload: [5]))
    #expect(try client.answer() == .init(stream: 3, code: 0, payload: [5]))
  }

  @Test("calls over the limits of a connection are refused, others go on")
  func limits() throws {
    let bench = try Bench(.epoll, RPCLimits(callsPerConnection: 3))
    defer { bench.stop() }
    let client = try Client(bench.listener.address)
    client.send([1, 3, 5, 7].flatMap { Client.frame($0, "Hold") })
    #expect(try client.answer() == .init(stream: 7, code: StatusCode.resourceExhausted.rawValue, payload: []))
    let other = try Client(bench.listener.address)
    other.send(Client.frame(1, "Release"))
    #expect(try other.answer().code == 0)
    for stream in [1, 3, 5] as [UInt32] { #expect(try client.answer().stream == stream) }
    client.send(Client.frame(9, "Echo"))
    #expect(try client.answer().code == 0)
  }

  @Test("a drained server refuses new calls and answers those in flight", arguments: PollerKind.allCases)
  func drain(_ poller: PollerKind) throws {
    let bench = try Bench(poller)
    defer { bench.stop() }
    let client = try Client(bench.listener.address)
    client.send(Client.frame(1, "Hold") + Client.frame(3, "Echo"))
    #expect(try client.answer().stream == 3)
    // The server and its service are touched on their reactor's thread only.
    nonisolated(unsafe) let server = bench.server
    nonisolated(unsafe) let service = bench.service
    let isDraining = DispatchSemaphore(value: 0)
    _ = bench.reactor.post {
      server.drain()
      isDraining.signal()
    }
    isDraining.wait()
    client.send(Client.frame(5, "Echo"))
    #expect(try client.answer() == .init(stream: 5, code: StatusCode.unavailable.rawValue, payload: []))
    _ = bench.reactor.post {
      for call in service.held {
        guard server.message(call.id, bytes: 0) != nil else { continue }
        server.finish(call.id)
      }
    }
    #expect(try client.answer() == .init(stream: 1, code: 0, payload: []))
  }

  @Test("a peer that goes away cancels its calls, and late answers are dropped", arguments: PollerKind.allCases)
  func cancelled(_ poller: PollerKind) throws {
    let bench = try Bench(poller)
    defer { bench.stop() }
    var client: Client? = try Client(bench.listener.address)
    client?.send(Client.frame(1, "Hold") + Client.frame(3, "Hold") + Client.frame(5, "Echo"))
    #expect(try client?.answer().stream == 5)
    client?.closesWithReset()
    client = nil
    for _ in 0..<1_000 where bench.cancelled.streams.withLock({ $0.count }) < 2 { usleep(5_000) }
    #expect(bench.cancelled.streams.withLock { $0.sorted() } == [1, 3])
    let other = try Client(bench.listener.address)
    other.send(Client.frame(1, "Release") + Client.frame(3, "Echo", payload: [8]))
    #expect(try other.answer() == .init(stream: 1, code: 0, payload: []))
    #expect(try other.answer() == .init(stream: 3, code: 0, payload: [8]))
  }

  @Test("a peer that shut down its side gets its answers before the connection ends", arguments: PollerKind.allCases)
  func halfClosed(_ poller: PollerKind) throws {
    let bench = try Bench(poller)
    defer { bench.stop() }
    let client = try Client(bench.listener.address)
    client.send(Client.frame(1, "Hold") + Client.frame(3, "Echo"))
    shutdown(client.descriptor, Int32(SHUT_WR))
    #expect(try client.answer().stream == 3)
    let other = try Client(bench.listener.address)
    other.send(Client.frame(1, "Release"))
    #expect(try client.answer().stream == 1)
    #expect(client.isEnded())
  }

  @Test("memory of a message is let go at the end of its round, not when somebody calls again")
  func messageMemory() throws {
    let bench = try Bench(.epoll)
    defer { bench.stop() }
    /// Of the arena, by the reactor's thread.
    final class Seen: Sendable {
      let afterUnpacking = Mutex<Bool?>(nil)
      let later = Mutex(false)
    }
    // Touched on the reactor's thread alone.
    nonisolated(unsafe) let arena = bench.arena
    let seen = Seen()
    let isPosted = bench.reactor.post {
      _ = arena.unpack(UnsafeRawBufferPointer(start: nil, count: 0)) { _, _, _ in UnsafeMutablePointer<Int>?.none }
      seen.afterUnpacking.withLock { $0 = arena.isClean }
    }
    #expect(isPosted)
    for _ in 0..<1_000 where !seen.later.withLock({ $0 }) {
      _ = bench.reactor.post {
        let isUnpacked = seen.afterUnpacking.withLock { $0 != nil }
        seen.later.withLock { $0 = isUnpacked && arena.isClean }
      }
      usleep(5_000)
    }
    #expect(seen.afterUnpacking.withLock { $0 } == false)
    #expect(seen.later.withLock { $0 })
  }

  @Test(
    "other protocols are refused by closing",
    arguments: ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/1.1\r\n", "\u{16}\u{3}\u{1}"])
  func otherProtocols(_ bytes: String) throws {
    let bench = try Bench(.epoll)
    defer { bench.stop() }
    let client = try Client(bench.listener.address)
    client.send(Array(bytes.utf8))
    #expect(client.isEnded())
  }
}
