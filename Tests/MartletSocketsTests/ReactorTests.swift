import Dispatch
import Glibc
import MartletCore
import Synchronization
import Testing

@testable import MartletSockets

extension RealSockets {
  @Suite("Reactor: bytes in and out")
  struct ReactorTests {
    private static let urls = [
      "tcp://127.0.0.1:0", "tcp://[::1]:0", "unix:/tmp/martlet-sockets-\(getpid())-echo.sock",
    ]

    @Test("bytes come back over TCP and Unix sockets", arguments: PollerKind.allCases, urls)
    func echo(_ poller: PollerKind, _ url: String) throws {
      guard !url.contains("::1") || hasIPv6Loopback() else { return }
      let server = try EchoServer(poller, url)
      defer { server.stop() }
      let client = try Client(server.address)
      for size in [1, 100, 70_000, 3_000_000] {
        let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
        let sender = DispatchQueue(label: "sender")
        sender.async { client.send(bytes) }
        let came = client.receive(size)
        // Not in one expression: to show where long arrays differ takes hours.
        let isSame = came == bytes
        #expect(isSame, "\(came.count) bytes came of \(size)")
        sender.sync {}
      }
      #expect(server.reactor.connectionCount == 1)
      let peer = try #require(server.handler.peers.withLock { $0.first })
      #expect(peer.listener == server.address)
      #expect(peer.isLocal)
    }

    @Test("a message split anywhere is kept until it is whole", arguments: PollerKind.allCases)
    func split(_ poller: PollerKind) throws {
      let server = try EchoServer(poller, prepare: { $0.messageBytes = 10 })
      defer { server.stop() }
      let client = try Client(server.address)
      let message = Array("0123456789".utf8)
      for cut in 1..<10 {
        let reads = server.handler.rounds.value
        client.send(Array(message[..<cut]))
        #expect(eventually { server.handler.rounds.value > reads })
        client.send(Array(message[cut...]))
        #expect(client.receive(10) == message)
      }
      client.send(message + message + message + message[..<4])
      #expect(client.receive(30) == message + message + message)
      client.send(Array(message[4...]))
      #expect(client.receive(10) == message)
    }

    @Test("all that is ready when a round begins is served in that round", arguments: PollerKind.allCases)
    func wholeRound(_ poller: PollerKind) throws {
      let rounds = Mutex<Set<UInt64>>([])
      let server = try EchoServer(poller) { handler in
        handler.answer = { [unowned handler] reactor, connection, bytes in
          rounds.withLock { _ = $0.insert(handler.rounds.value) }
          reactor.send(bytes, on: connection)
          return bytes.count
        }
      }
      defer { server.stop() }
      let clients = try (0..<100).map { _ in try Client(server.address) }
      for client in clients { #expect(client.echoes(0)) }
      for _ in 0..<20 {
        let (isBusy, release) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        _ = server.reactor.post {
          isBusy.signal()
          release.wait()
        }
        isBusy.wait()
        rounds.withLock { $0 = [] }
        for (index, client) in clients.enumerated() { client.send([UInt8(index)]) }
        release.signal()
        for (index, client) in clients.enumerated() { #expect(client.receive(1) == [UInt8(index)]) }
        #expect(rounds.withLock { $0.count } == 1)
      }
    }

    @Test(
      "a reactor that spins looks again and again for as long as it was told, then waits",
      arguments: PollerKind.allCases)
    func spin(_ poller: PollerKind) throws {
      var limits = SocketLimits()
      limits.spin = .milliseconds(200)
      let server = try EchoServer(poller, limits: limits)
      defer { server.stop() }
      let client = try Client(server.address)
      let rounds = { server.handler.rounds.value }
      for _ in 0..<3 {
        let before = rounds()
        #expect(client.echoes(1))
        // Without a timer that is due, only a reactor that does not wait has rounds.
        #expect(eventually { rounds() > before + 100 })
        #expect(
          eventually {
            let then = rounds()
            usleep(50_000)
            return rounds() - then < 3
          })
      }
      // Looking in vain is no work.
      var collector = MetricCollector()
      server.reactor.statistics.collect(into: &collector)
      let counted = collector.samples.compactMap { sample -> UInt64? in
        guard sample.family == "martlet_reactor_loop_duration_seconds", case .buckets(_, let counts, _) = sample.value
        else { return nil }
        return counts.reduce(0, +)
      }
      #expect(counted.count == 1)
      #expect(counted[0] < 100)
    }

    @Test("a connection without waiting bytes holds no buffer", arguments: PollerKind.allCases)
    func idleMemory(_ poller: PollerKind) throws {
      let server = try EchoServer(poller, prepare: { $0.messageBytes = 200_000 })
      defer { server.stop() }
      let client = try Client(server.address)
      let message = [UInt8](repeating: 3, count: 200_000)
      client.send(message)
      // As one value, since the difference of two long arrays takes minutes to be told.
      let isEchoed = client.receive(message.count) == message
      #expect(isEchoed)
      let reactor = server.reactor
      let handle = try #require(server.handler.handles.withLock { $0.first })
      let held = reactor.run { reactor.slab[handle].map { $0.pointee.input.capacity + $0.pointee.output.capacity } }
      #expect(held == .some(0))
    }

    @Test("answers queued and calls in flight survive the peer's half-close", arguments: PollerKind.allCases)
    func halfClose(_ poller: PollerKind) throws {
      let server = try EchoServer(poller, prepare: { $0.closesWhenPeerFinishes = false })
      defer { server.stop() }
      let client = try Client(server.address)
      client.send([200, 201])
      client.finish()
      #expect(client.receive(2) == [200, 201])
      #expect(server.handler.saw(.finished))
      // An answer that comes later, as from a queue.
      let reactor = server.reactor
      let handle = try #require(server.handler.handles.withLock { $0.first })
      let isTaken = reactor.run {
        let isTaken = [UInt8](repeating: 7, count: 100_000).withUnsafeBytes { reactor.send($0, on: handle) }
        reactor.close(handle, reason: .peerClosed, afterFlush: true)
        return isTaken
      }
      #expect(isTaken == true)
      let isAnswered = client.receive(100_000) == [UInt8](repeating: 7, count: 100_000)
      #expect(isAnswered)
      #expect(client.isEnded())
      #expect(server.handler.saw(.closed("peer_closed")))
      #expect(eventually { reactor.connectionCount == 0 })
      #expect(server.handler.events.withLock { $0 } == [.opened, .finished, .closed("peer_closed")])
    }

    @Test("a peer that closes both ways is told once, with all it had sent shown", arguments: PollerKind.allCases)
    func fullClose(_ poller: PollerKind) throws {
      let shown = Mutex(0)
      let server = try EchoServer(poller, "unix:\(socketPath("full"))") { handler in
        handler.answer = { _, _, bytes in
          shown.withLock { $0 += bytes.count }
          return bytes.count
        }
      }
      defer { server.stop() }
      do {
        let client = try Client(server.address)
        client.send([UInt8](repeating: 1, count: 150_000))
      }
      #expect(server.handler.saw(.closed("peer_closed")))
      #expect(shown.withLock { $0 } == 150_000)
    }

    @Test("the last answer arrives although the peer's bytes are unread", arguments: PollerKind.allCases)
    func lastAnswer(_ poller: PollerKind) throws {
      let server = try EchoServer(poller) { handler in
        handler.answer = { reactor, handle, bytes in
          reactor.send(UnsafeRawBufferPointer(rebasing: bytes[..<1]), on: handle)
          reactor.close(handle, reason: .protocolError, afterFlush: true)
          return 1
        }
      }
      defer { server.stop() }
      let client = try Client(server.address)
      client.send([9] + [UInt8](repeating: 1, count: 50_000))
      #expect(client.receive(1) == [9])
      #expect(client.isEnded())
      #expect(server.handler.saw(.closed("protocol_error")))
      client.finish()
      #expect(eventually { server.reactor.connectionCount == 0 })
    }

    @Test("a peer that does not read is dropped at the bound, the others are served", arguments: PollerKind.allCases)
    func slowReader(_ poller: PollerKind) throws {
      var limits = SocketLimits()
      limits.maxWriteBufferBytes = 1 << 20
      let server = try EchoServer(poller, limits: limits) { handler in
        handler.answer = { reactor, handle, bytes in
          guard bytes[0] == 66 else {
            reactor.send(bytes, on: handle)
            return bytes.count
          }
          let block = [UInt8](repeating: 1, count: 100_000)
          for _ in 0..<400 where !block.withUnsafeBytes({ reactor.send($0, on: handle) }) { break }
          return bytes.count
        }
      }
      defer { server.stop() }
      let client = try Client(server.address)
      client.send([66])
      #expect(server.handler.saw(.closed("slow_reader")))
      #expect(try Client(server.address).echoes(7))
    }

    @Test("a peer that reads slowly is read slowly and loses nothing", arguments: PollerKind.allCases)
    func backPressure(_ poller: PollerKind) throws {
      var limits = SocketLimits()
      limits.writeHighWaterBytes = 100_000
      let most = Mutex(0)
      let server = try EchoServer(poller, limits: limits) { handler in
        handler.answer = { reactor, handle, bytes in
          reactor.send(bytes, on: handle)
          let unsent = reactor.unsentBytes(handle)
          most.withLock { $0 = max($0, unsent) }
          return bytes.count
        }
      }
      defer { server.stop() }
      // With a sanitizer it takes longer to make them than a server waits for a first byte.
      let bytes = (0..<20_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 16) }
      let client = try Client(server.address)
      let sender = DispatchQueue(label: "sender")
      sender.async { client.send(bytes) }
      // The sender is stuck when no round happens any more; until then nothing is read here.
      var rounds: UInt64 = 0
      _ = eventually {
        let before = rounds
        rounds = server.handler.rounds.value
        return before == rounds && rounds > 4
      }
      let came = client.receive(bytes.count)
      let isSame = came == bytes
      #expect(isSame, "\(came.count) bytes came of \(bytes.count)")
      sender.sync {}
      #expect(most.withLock { $0 } <= 100_000 + limits.readChunkBytes)
    }

    @Test("reading stops and goes on as the handler says", arguments: PollerKind.allCases)
    func pause(_ poller: PollerKind) throws {
      let server = try EchoServer(poller) { handler in
        handler.answer = { reactor, handle, bytes in
          // The first time it takes one byte and stops; what was kept must be shown again later without new bytes.
          reactor.send(UnsafeRawBufferPointer(rebasing: bytes[..<1]), on: handle)
          if bytes.count > 1 { reactor.pauseReading(handle) }
          return 1
        }
      }
      defer { server.stop() }
      let client = try Client(server.address)
      client.send([1, 2])
      #expect(client.receive(1) == [1])
      let reactor = server.reactor
      let handle = try #require(server.handler.handles.withLock { $0.first })
      _ = reactor.run { reactor.resumeReading(handle) }
      #expect(client.receive(1) == [2])
      #expect(client.echoes(3))
    }

    @Test("a handler that stops early gets the rest in the next rounds, in turn", arguments: PollerKind.allCases)
    func fairness(_ poller: PollerKind) throws {
      let order = Mutex<[UInt8]>([])
      let server = try EchoServer(poller) { handler in
        handler.answer = { reactor, handle, bytes in
          order.withLock { $0.append(bytes[0]) }
          reactor.send(UnsafeRawBufferPointer(rebasing: bytes[..<1]), on: handle)
          if bytes.count > 1 { reactor.resumeParsing(handle) }
          return 1
        }
      }
      defer { server.stop() }
      let clients = [try Client(server.address), try Client(server.address)]
      // Both are there before the first of them is read.
      let release = DispatchSemaphore(value: 0)
      _ = server.reactor.post { release.wait() }
      for (index, client) in clients.enumerated() { client.send([UInt8](repeating: UInt8(index), count: 50)) }
      release.signal()
      for (index, client) in clients.enumerated() {
        #expect(client.receive(50) == [UInt8](repeating: UInt8(index), count: 50))
      }
      // Nobody waits for more than two turns of the other.
      let turns = order.withLock { $0 }
      #expect(turns.count == 100)
      let firstHalf = turns.prefix(50)
      #expect(firstHalf.contains(0) && firstHalf.contains(1))
    }

    @Test("more bytes than the read buffer may hold end the connection", arguments: PollerKind.allCases)
    func readBufferFull(_ poller: PollerKind) throws {
      var limits = SocketLimits()
      limits.maxReadBufferBytes = 10_000
      let server = try EchoServer(poller, limits: limits, prepare: { $0.messageBytes = 100_000 })
      defer { server.stop() }
      let client = try Client(server.address)
      client.send([UInt8](repeating: 1, count: 20_000))
      #expect(server.handler.saw(.closed("read_buffer_full")))
    }

    @Test("peers that send a little of a frame hold a little memory", arguments: PollerKind.allCases)
    func partialFrames(_ poller: PollerKind) throws {
      let server = try EchoServer(poller, prepare: { $0.messageBytes = 1_000 })
      defer { server.stop() }
      let clients = try (0..<20).map { _ in try Client(server.address) }
      // In two pieces, so that the second read finds bytes kept.
      for piece in [[1, 2], [3]] as [[UInt8]] {
        for client in clients { client.send(piece) }
        let expected = UInt64(piece == [3] ? 60 : 40)
        #expect(eventually { server.reactor.statistics.bytesReceived == expected })
      }
      let reactor = server.reactor
      let held = reactor.run { reactor.pool.rentedBytes }
      #expect(held == 20 * BufferPool.smallestBytes)
    }

    @Test("the buffers of all connections together are bounded", arguments: PollerKind.allCases)
    func memoryBound(_ poller: PollerKind) throws {
      var limits = SocketLimits()
      limits.maxBufferBytes = 1 << 20
      let server = try EchoServer(poller, limits: limits, prepare: { $0.messageBytes = 1_000_000 })
      defer { server.stop() }
      let clients = try (0..<4).map { _ in try Client(server.address) }
      for client in clients { client.send([UInt8](repeating: 1, count: 400_000)) }
      #expect(server.handler.saw(.closed("memory")))
      let reactor = server.reactor
      #expect(eventually { (reactor.run { reactor.pool.rentedBytes } ?? 0) <= limits.maxBufferBytes })
    }

    @Test("peers that do not read lose their memory to those that do", arguments: PollerKind.allCases)
    func memoryOfOthers(_ poller: PollerKind) throws {
      var limits = SocketLimits()
      limits.maxBufferBytes = 32 << 20
      let server = try EchoServer(poller, limits: limits) { handler in
        handler.answer = { reactor, handle, bytes in
          let count = bytes[0] == 66 ? 12_000_000 : 1
          let block = [UInt8](repeating: bytes[0], count: count)
          _ = block.withUnsafeBytes { reactor.send($0, on: handle) }
          return bytes.count
        }
      }
      defer { server.stop() }
      let idle = try Client(server.address)
      #expect(idle.echoes(1))
      let hogs = try (0..<2).map { _ in try Client(server.address) }
      let reactor = server.reactor
      for (index, hog) in hogs.enumerated() {
        hog.send([66])
        #expect(eventually { reactor.run { reactor.pool.rentedBytes } ?? 0 >= (index + 1) * 12_000_000 })
      }
      #expect(idle.echoes(7))
      #expect(server.handler.saw(.closed("memory")))
      #expect(try Client(server.address).echoes(8))
      #expect(reactor.connectionCount >= 2)
      #expect(reactor.statistics.closures(.memory) == 1)
    }

    @Test("who wants much does not cost those that hold little their connections", arguments: PollerKind.allCases)
    func memoryOfSmallOnes(_ poller: PollerKind) throws {
      var limits = SocketLimits()
      limits.maxBufferBytes = 2 << 20
      let server = try EchoServer(poller, limits: limits) { handler in
        handler.answer = { reactor, handle, bytes in
          if bytes[0] == 66 {
            let block = [UInt8](repeating: 1, count: 1_000_000)
            _ = block.withUnsafeBytes { reactor.send($0, on: handle) }
            return bytes.count
          }
          guard bytes.count >= 400_000 else { return 0 }
          reactor.send(bytes, on: handle)
          return bytes.count
        }
      }
      defer { server.stop() }
      let small = try (0..<3).map { _ in try Client(server.address) }
      for client in small { client.send([UInt8](repeating: 1, count: 300_000)) }
      #expect(eventually { server.reactor.statistics.bytesReceived == 900_000 })
      let greedy = try Client(server.address)
      greedy.send([66])
      #expect(greedy.isEnded())
      #expect(server.handler.saw(.closed("memory")))
      for client in small {
        client.send([UInt8](repeating: 1, count: 100_000))
        #expect(client.receive(400_000).count == 400_000)
      }
    }

    @Test(
      "a reset and a write to a peer that is gone end the connection, not the process", arguments: PollerKind.allCases)
    func reset(_ poller: PollerKind) throws {
      let server = try EchoServer(poller, prepare: { $0.closesWhenPeerFinishes = false })
      defer { server.stop() }
      do {
        let client = try Client(server.address)
        #expect(client.echoes(1))
        client.resetOnClose()
      }
      #expect(server.handler.saw(.closed("reset")))
      do {
        let client = try Client(server.address)
        #expect(client.echoes(2))
      }
      #expect(server.handler.saw(.finished))
      let reactor = server.reactor
      let handle = try #require(server.handler.handles.withLock { $0.last })
      // The first write is answered by a reset, the second would raise SIGPIPE.
      #expect(
        eventually {
          _ = reactor.run { [1, 2, 3].withUnsafeBytes { reactor.send($0, on: handle) } }
          return server.handler.events.withLock { $0.contains(.closed("peer_closed")) }
        })
    }

    @Test("a stale handle does nothing to the slot's next connection", arguments: PollerKind.allCases)
    func staleHandle(_ poller: PollerKind) throws {
      let server = try EchoServer(poller)
      defer { server.stop() }
      do {
        let client = try Client(server.address)
        #expect(client.echoes(1))
      }
      #expect(eventually { server.reactor.connectionCount == 0 })
      let client = try Client(server.address)
      #expect(client.echoes(2))
      let handles = server.handler.handles.withLock { $0 }
      try #require(handles.count == 2)
      #expect(handles[0].slot == handles[1].slot)
      #expect(handles[0].generation != handles[1].generation)
      let reactor = server.reactor
      let alive = reactor.run {
        #expect(reactor.reserve(handles[0], 10) == nil)
        reactor.commit(handles[0], 0)
        reactor.pauseReading(handles[0])
        reactor.close(handles[0], reason: .local, afterFlush: false)
        return [reactor.isAlive(handles[0]), reactor.isAlive(handles[1])]
      }
      #expect(alive == [false, true])
      #expect(client.echoes(3))
    }

    @Test("thousands of connections leave no descriptor behind", arguments: PollerKind.allCases)
    func descriptors(_ poller: PollerKind) throws {
      let server = try EchoServer(poller)
      defer { server.stop() }
      func cycle(_ count: Int) throws {
        for round in 0..<count {
          let client = try Client(server.address)
          #expect(client.echoes(UInt8(truncatingIfNeeded: round)))
          // Otherwise the ports of this machine would wait for their last packets.
          client.resetOnClose()
        }
      }
      try cycle(20)
      #expect(eventually { server.reactor.connectionCount == 0 })
      let before = openDescriptors()
      try cycle(2_000)
      // Other suites open sockets of this process meanwhile; one left by each connection would be ten times that.
      #expect(eventually { server.reactor.connectionCount == 0 && openDescriptors() <= before + 200 })
    }

    @Test("what went over the sockets is counted", arguments: PollerKind.allCases)
    func statistics(_ poller: PollerKind) throws {
      let server = try EchoServer(poller)
      defer { server.stop() }
      let client = try Client(server.address)
      for _ in 0..<20 { #expect(client.echoes(1)) }
      var collector = MetricCollector()
      server.reactor.statistics.collect(into: &collector)
      func number(_ family: String, _ labels: [String]) -> Double? {
        for sample in collector.samples where sample.family == family && sample.labels.map(\.value) == labels {
          if case .number(let value) = sample.value { return value }
        }
        return nil
      }
      #expect(number("martlet_connections", ["tcp", "in"]) == 1)
      #expect(number("martlet_connections_total", ["tcp", "in"]) == 1)
      #expect(number("martlet_bytes_total", ["tcp", "in"]) == 20)
      // The last write may not be counted yet when its answer is here.
      #expect((19...20).contains(number("martlet_bytes_total", ["tcp", "out"]) ?? 0))
      #expect(number("martlet_bytes_total", ["unix", "in"]) == 0)
      let histograms = collector.samples.filter { $0.kind == .histogram }.map(\.family)
      #expect(Set(histograms) == ["martlet_stage_duration_seconds", "martlet_reactor_loop_duration_seconds"])
    }
  }
}
