import Dispatch
import Glibc
import MartletCore
import Synchronization
import Testing

@testable import MartletSockets

extension RealSockets {
  @Suite("Reactor: work from outside, beginning and end")
  struct ReactorLifecycleTests {
    private func makeReactor(
      _ poller: PollerKind, limits: SocketLimits = SocketLimits()
    ) -> (Reactor, EchoHandler) {
      let reactor = Reactor(index: 0, poller: poller, limits: limits, statistics: SocketStatistics(reactor: 0))
      let handler = EchoHandler(reactor)
      reactor.setHandler(handler)
      return (reactor, handler)
    }

    @Test("posted work is all done, in order for each thread", arguments: PollerKind.allCases)
    func order(_ poller: PollerKind) {
      let (reactor, handler) = makeReactor(poller)
      reactor.start()
      let seen = Mutex([[Int]](repeating: [], count: 4))
      withExtendedLifetime(handler) {
        DispatchQueue.concurrentPerform(iterations: 4) { thread in
          for number in 0..<2_000 {
            while !reactor.post({ seen.withLock { $0[thread].append(number) } }) { sched_yield() }
          }
        }
        reactor.stop()
      }
      seen.withLock { for numbers in $0 { #expect(numbers == Array(0..<2_000)) } }
    }

    @Test("a full mailbox takes work but no connection, until it was emptied", arguments: PollerKind.allCases)
    func bound(_ poller: PollerKind) {
      var limits = SocketLimits()
      limits.mailboxCapacity = 3
      let (reactor, handler) = makeReactor(poller, limits: limits)
      defer { withExtendedLifetime(handler) {} }
      let peer = PeerInfo(address: .unix(path: ""), listener: .unix(path: "/x"))
      func adopt() -> Bool {
        reactor.adopt(makeStreamSocket(for: .unix(path: "/x")), peer: peer, limiter: nil)
      }
      #expect((0..<5).map { _ in adopt() } == [true, true, true, false, false])
      #expect(reactor.post {})
      #expect(reactor.connectionCount == 3)
      reactor.start()
      #expect(eventually { adopt() })
      reactor.stop()
    }

    @Test("work posted before the start is done after it", arguments: PollerKind.allCases)
    func early(_ poller: PollerKind) {
      let (reactor, handler) = makeReactor(poller)
      defer { withExtendedLifetime(handler) {} }
      let done = DispatchSemaphore(value: 0)
      #expect(reactor.post { done.signal() })
      reactor.start()
      #expect(done.wait(timeout: .now() + 10) == .success)
      reactor.stop()
    }

    @Test("stop does what was taken, closes all, and nothing is told afterwards", arguments: PollerKind.allCases)
    func stop(_ poller: PollerKind) throws {
      let server = try EchoServer(poller)
      let client = try Client(server.address)
      #expect(client.echoes(1))
      let done = Counter()
      let release = DispatchSemaphore(value: 0)
      _ = server.reactor.post { release.wait() }
      for _ in 0..<100 { #expect(server.reactor.post { done.add() }) }
      DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(20)) { release.signal() }
      server.reactor.stop()
      #expect(done.value == 100)
      #expect(server.handler.events.withLock { $0 } == [.opened, .closed("local")])
      #expect(server.reactor.connectionCount == 0)
      #expect(server.limiter.total == 0)
      #expect(client.isEnded())
      let rounds = server.handler.rounds.value
      #expect(!server.reactor.post {})
      #expect(throws: (any Error).self) { try Client(server.address) }
      #expect(server.handler.rounds.value == rounds)
      server.stop()
    }

    @Test("stop returns to every caller, and on the reactor's own thread at once", arguments: PollerKind.allCases)
    func stopTwice(_ poller: PollerKind) {
      let (reactor, handler) = makeReactor(poller)
      defer { withExtendedLifetime(handler) {} }
      reactor.start()
      #expect(reactor.post { reactor.stop() })
      DispatchQueue.concurrentPerform(iterations: 4) { _ in reactor.stop() }
      #expect(!reactor.post {})
    }

    @Test("a socket given to a reactor that cannot take it is closed", arguments: PollerKind.allCases)
    func adoptRefused(_ poller: PollerKind) {
      let (reactor, handler) = makeReactor(poller)
      defer { withExtendedLifetime(handler) {} }
      let peer = PeerInfo(address: .unix(path: ""), listener: .unix(path: ""))
      func pair() -> (Int32, Int32) {
        var descriptors: [Int32] = [0, 0]
        #expect(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0, &descriptors) == 0)
        return (descriptors[0], descriptors[1])
      }
      // Never started, then stopped.
      let before = pair()
      reactor.adopt(before.0, peer: peer)
      #expect(reactor.connectionCount == 1)
      reactor.stop()
      let after = pair()
      reactor.adopt(after.0, peer: peer)
      #expect(reactor.connectionCount == 0)
      for end in [before.1, after.1] {
        var byte: UInt8 = 0
        #expect(recv(end, &byte, 1, 0) == 0)
        close(end)
      }
    }

    @Test("a reactor that gets no descriptor for its poller says so, and is as if stopped")
    func noDescriptors() async {
      // In a process of its own, because a limit holds for all of it.
      await #expect(processExitsWith: .success) {
        func limitDescriptors(to count: Int32) {
          var limit = rlimit()
          let kind = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
          guard getrlimit(kind, &limit) == 0 else { exit(2) }
          limit.rlim_cur = rlim_t(count)
          guard setrlimit(kind, &limit) == 0 else { exit(3) }
        }
        // epoll needs one for itself and one to be woken by.
        for spare: Int32 in [0, 1] {
          var pair: [Int32] = [0, 0]
          guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &pair) == 0 else { exit(4) }
          let free = dup(0)
          close(free)
          limitDescriptors(to: free + spare)
          let reactor = Reactor(
            index: 3, poller: .epoll, limits: SocketLimits(), statistics: SocketStatistics(reactor: 3))
          let handler = EchoHandler(reactor)
          reactor.setHandler(handler)
          let isPosted = reactor.post {}
          reactor.adopt(pair[0], peer: PeerInfo(address: .unix(path: ""), listener: .unix(path: "")))
          reactor.start()
          guard isPosted, reactor.startFailure?.code == .resourceExhausted else { exit(5) }
          guard reactor.startFailure?.message == "cannot start martlet-rx-3: epoll: Too many open files" else {
            exit(6)
          }
          var byte: UInt8 = 0
          guard recv(pair[1], &byte, 1, 0) == 0, reactor.connectionCount == 0, !reactor.post({}) else { exit(7) }
          reactor.stop()
          close(pair[1])
          limitDescriptors(to: 256)
        }
      }
    }

    @Test("a reactor that never ran leaves no listening socket", arguments: PollerKind.allCases)
    func listenerOfUnstarted(_ poller: PollerKind) throws {
      let address = try { () throws -> SocketAddress in
        let (reactor, handler) = makeReactor(poller)
        defer { withExtendedLifetime(handler) {} }
        let listener = try Listener(address: SocketAddress.parse("tcp://127.0.0.1:0"))
        listener.start(on: reactor, reactors: [reactor])
        let address = listener.address
        reactor.stop()
        return address
      }()
      #expect(throws: (any Error).self) { try Client(address) }
    }

    @Test("an idle reactor does nothing", arguments: PollerKind.allCases)
    func idle(_ poller: PollerKind) throws {
      let server = try EchoServer(poller)
      defer { server.stop() }
      let clients = try (0..<3).map { _ in try Client(server.address) }
      for client in clients { #expect(client.echoes(1)) }
      clients[0].finish()
      #expect(clients[0].isEnded())
      let rounds = server.handler.rounds.value
      usleep(100_000)
      // Not exactly none: a timer or a spurious wake-up may fall into it. A loop would make thousands.
      #expect(server.handler.rounds.value - rounds < 50)
    }

    @Test("a handler with work left gets its rounds without anything happening", arguments: PollerKind.allCases)
    func workLeft(_ poller: PollerKind) {
      let (reactor, handler) = makeReactor(poller)
      reactor.start()
      _ = reactor.run { handler.roundsLeft = 50 }
      #expect(eventually { handler.rounds.value >= 50 })
      reactor.stop()
    }

    @Test("reactors come and go without leaving descriptors", arguments: PollerKind.allCases)
    func descriptors(_ poller: PollerKind) throws {
      let before = openDescriptors()
      for _ in 0..<200 {
        let server = try EchoServer(poller)
        #expect(try Client(server.address).echoes(1))
        server.stop()
      }
      // Other suites open sockets of this process meanwhile; one left by each reactor would be twice that.
      #expect(eventually { openDescriptors() <= before + 100 })
    }
  }

  @Suite("Reactor: connections opened from this side")
  struct ReactorOpeningTests {
    @Test(
      "it is told when a connection stands, and sends what was committed before",
      arguments: PollerKind.allCases, ["tcp://127.0.0.1:0", "unix:/tmp/martlet-sockets-\(getpid())-out.sock"])
    func opens(_ poller: PollerKind, _ url: String) throws {
      let server = try EchoServer(.epoll, url)
      defer { server.stop() }
      let reactor = Reactor(
        index: 1, poller: poller, limits: SocketLimits(), statistics: SocketStatistics(reactor: 1))
      let answer = Mutex<[UInt8]>([])
      let handler = EchoHandler(reactor)
      handler.answer = { _, _, bytes in
        answer.withLock { $0.append(contentsOf: bytes) }
        return bytes.count
      }
      reactor.setHandler(handler)
      reactor.start()
      defer { reactor.stop() }
      let address = server.address
      let handle = reactor.run { () -> ConnectionHandle? in
        guard let handle = try? reactor.connect(to: address) else { return nil }
        _ = [1, 2, 3].withUnsafeBytes { (bytes: UnsafeRawBufferPointer) in reactor.send(bytes, on: handle) }
        return handle
      }
      #expect(handle.flatMap(\.self) != nil)
      #expect(handler.saw(.opened))
      #expect(eventually { answer.withLock { $0.count } == [1, 2, 3].count * MemoryLayout<Int>.size })
      #expect(handler.peers.withLock { $0.first?.address } == address)
      server.stop()
      #expect(eventually { reactor.connectionCount == 0 })
    }

    @Test("a refused connection is told with its reason, after connect returned", arguments: PollerKind.allCases)
    func refused(_ poller: PollerKind) throws {
      let free = try Listener(address: SocketAddress.parse("tcp://127.0.0.1:0"))
      let address = free.address
      free.drainAndClose()
      let reactor = Reactor(
        index: 1, poller: poller, limits: SocketLimits(), statistics: SocketStatistics(reactor: 1))
      let handler = EchoHandler(reactor)
      reactor.setHandler(handler)
      reactor.start()
      defer { reactor.stop() }
      let path = SocketAddress.unix(path: socketPath("nobody"))
      _ = reactor.run {
        for target in [address, path] { _ = try? reactor.connect(to: target) }
        #expect(handler.events.withLock { $0.isEmpty })
      }
      #expect(
        eventually { handler.events.withLock { $0 } == [.closed("connect_failed"), .closed("connect_failed")] })
      #expect(reactor.connectionCount == 0)
    }

    @Test("over the limit connecting fails at once and says so", arguments: PollerKind.allCases)
    func full(_ poller: PollerKind) throws {
      let server = try EchoServer(.epoll)
      defer { server.stop() }
      var limits = SocketLimits()
      limits.maxConnections = 1
      let reactor = Reactor(index: 1, poller: poller, limits: limits, statistics: SocketStatistics(reactor: 1))
      let handler = EchoHandler(reactor)
      reactor.setHandler(handler)
      reactor.start()
      defer { reactor.stop() }
      let address = server.address
      let status = reactor.run { () -> Status? in
        _ = try? reactor.connect(to: address)
        do throws(Status) { _ = try reactor.connect(to: address) } catch { return error }
        return nil
      }
      #expect(status.flatMap(\.self)?.code == .resourceExhausted)
    }
  }
}
