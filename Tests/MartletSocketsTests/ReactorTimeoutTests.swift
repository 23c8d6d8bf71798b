import Dispatch
import Glibc
import MartletCore
import Synchronization
import Testing

@testable import MartletSockets

extension RealSockets {
  @Suite("Reactor: timeouts and timers")
  struct ReactorTimeoutTests {
    /// A server whose limits are the usual ones but for what `change` does.
    private func server(
      _ poller: PollerKind, prepare: (EchoHandler) -> Void = { _ in }, _ change: (inout SocketLimits) -> Void
    ) throws -> EchoServer {
      var limits = SocketLimits()
      change(&limits)
      return try EchoServer(poller, limits: limits, prepare: prepare)
    }

    @Test("a connection that sends nothing at first is ended", arguments: PollerKind.allCases)
    func firstByte(_ poller: PollerKind) throws {
      let server = try server(poller) { $0.firstByteTimeout = .milliseconds(40) }
      defer { server.stop() }
      let talker = try Client(server.address)
      #expect(talker.echoes(1))
      #expect(try Client(server.address).isEnded())
      #expect(server.handler.saw(.closed("first_byte_timeout")))
      #expect(talker.echoes(2))
    }

    @Test("a connection without traffic is ended", arguments: PollerKind.allCases)
    func idle(_ poller: PollerKind) throws {
      let server = try server(poller) { $0.idleTimeout = .milliseconds(40) }
      defer { server.stop() }
      let client = try Client(server.address)
      client.send([1])
      #expect(client.receive(1) == [1])
      #expect(client.isEnded())
      #expect(server.handler.saw(.closed("idle")))
    }

    @Test("the timer of a connection ends with it", arguments: PollerKind.allCases)
    func forgotten(_ poller: PollerKind) throws {
      let server = try server(poller) { $0.frameTimeout = .seconds(600) }
      defer { server.stop() }
      for turn in 0..<50 {
        let client = try Client(server.address)
        #expect(client.echoes(UInt8(turn)))
      }
      #expect(eventually { server.handler.events.withLock { $0.count { $0 == .closed("peer_closed") } } == 50 })
      let timers = Mutex<Int?>(nil)
      let nodes = Mutex(0)
      _ = server.reactor.post {
        nodes.withLock { $0 = server.reactor.wheel.nodeCount }
        timers.withLock { $0 = server.reactor.wheel.count }
      }
      #expect(eventually { timers.withLock { $0 } != nil })
      #expect(timers.withLock { $0 } == 0)
      #expect(nodes.withLock { $0 } < 50)
    }

    @Test("an idle connection with calls in flight stays", arguments: PollerKind.allCases)
    func busyIdle(_ poller: PollerKind) throws {
      let server = try server(poller, prepare: { $0.mayCloseIdle = false }, { $0.idleTimeout = .milliseconds(5) })
      defer { server.stop() }
      let client = try Client(server.address)
      #expect(client.echoes(1))
      let rounds = server.handler.rounds.value
      // Nothing but its timeout makes rounds now.
      #expect(eventually { server.handler.rounds.value >= rounds + 5 })
      #expect(client.echoes(2))
    }

    @Test("a peer whose bytes came while the reactor stood still is not late", arguments: PollerKind.allCases)
    func ownDelay(_ poller: PollerKind) throws {
      let server = try server(poller, { $0.firstByteTimeout = .milliseconds(1500) })
      defer { server.stop() }
      // More than one round of the poller sees.
      let clients = try (0..<400).map { _ in try Client(server.address) }
      #expect(eventually { server.reactor.connectionCount == 400 })
      let (isBusy, release) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
      _ = server.reactor.post {
        isBusy.signal()
        release.wait()
      }
      isBusy.wait()
      for client in clients { client.send([1]) }
      usleep(1_700_000)
      release.signal()
      for client in clients { #expect(client.receive(1) == [1]) }
      #expect(server.reactor.statistics.closures(.firstByteTimeout) == 0)
    }

    @Test("a frame that does not become complete ends its connection", arguments: PollerKind.allCases)
    func slowWriter(_ poller: PollerKind) throws {
      let server = try server(poller, prepare: { $0.messageBytes = 10 }, { $0.frameTimeout = .milliseconds(40) })
      defer { server.stop() }
      let client = try Client(server.address)
      client.send([1, 2, 3])
      #expect(client.isEnded())
      #expect(server.handler.saw(.closed("slow_writer")))
    }

    @Test("output that makes no progress ends its connection", arguments: PollerKind.allCases)
    func slowReader(_ poller: PollerKind) throws {
      let prepare: (EchoHandler) -> Void = { handler in
        handler.answer = { reactor, handle, bytes in
          let block = [UInt8](repeating: 1, count: 10_000_000)
          _ = block.withUnsafeBytes { reactor.send($0, on: handle) }
          return bytes.count
        }
      }
      let server = try server(poller, prepare: prepare) { $0.writeTimeout = .milliseconds(40) }
      defer { server.stop() }
      let client = try Client(server.address)
      client.send([1])
      #expect(server.handler.saw(.closed("slow_reader")))
    }

    @Test("a peer that never ends does not keep a closed connection", arguments: PollerKind.allCases)
    func linger(_ poller: PollerKind) throws {
      let prepare: (EchoHandler) -> Void = { handler in
        handler.answer = { reactor, handle, bytes in
          reactor.close(handle, reason: .local, afterFlush: true)
          return bytes.count
        }
      }
      let server = try server(poller, prepare: prepare) { $0.lingerTimeout = .milliseconds(40) }
      defer { server.stop() }
      let client = try Client(server.address)
      client.send([1])
      #expect(client.isEnded())
      #expect(eventually { server.reactor.connectionCount == 0 })
      #expect(server.handler.events.withLock { $0 } == [.opened, .closed("local")])
    }

    @Test("a peer that does not answer a connect is given up", arguments: PollerKind.allCases)
    func connect(_ poller: PollerKind) throws {
      // A queue of one that is full: the kernel drops what comes then.
      let listener = try Listener(address: SocketAddress.parse("tcp://127.0.0.1:0"), backlog: 0)
      let address = listener.address
      let first = try Client(address)
      defer { withExtendedLifetime(first) {} }
      var limits = SocketLimits()
      limits.connectTimeout = .milliseconds(60)
      let reactor = Reactor(index: 0, poller: poller, limits: limits, statistics: SocketStatistics(reactor: 0))
      let handler = EchoHandler(reactor)
      reactor.setHandler(handler)
      reactor.start()
      defer { reactor.stop() }
      _ = reactor.run { for _ in 0..<4 { _ = try? reactor.connect(to: address) } }
      #expect(handler.saw(.closed("connect_timeout")))
    }

    @Test("the handler's timers fire once each, none before its time", arguments: PollerKind.allCases)
    func timers(_ poller: PollerKind) throws {
      let reactor = Reactor(
        index: 0, poller: poller, limits: SocketLimits(), statistics: SocketStatistics(reactor: 0))
      let handler = EchoHandler(reactor)
      reactor.setHandler(handler)
      reactor.start()
      defer { reactor.stop() }
      let start = MonotonicTime.now()
      _ = reactor.run {
        for token in [UInt64(30), 1, 12, 5] {
          reactor.schedule(at: start.advanced(byNanoseconds: token * 2_000_000), token: token)
        }
        reactor.schedule(at: .distantFuture, token: 99)
      }
      #expect(handler.saw(.timer(30)))
      #expect(MonotonicTime.now().nanoseconds(since: start) >= 60_000_000)
      #expect(handler.events.withLock { $0 } == [.timer(1), .timer(5), .timer(12), .timer(30)])
    }
  }
}
