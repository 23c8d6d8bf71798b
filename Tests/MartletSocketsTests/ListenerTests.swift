import CLinux
import Dispatch
import Glibc
import MartletCore
import Synchronization
import Testing

@testable import MartletSockets

extension RealSockets {
  @Suite("Listener")
  struct ListenerTests {
    @Test("port 0 becomes a real port, on which callers wait before anybody accepts")
    func anyPort() throws {
      let listener = try Listener(address: SocketAddress.parse("tcp://127.0.0.1:0"))
      #expect((listener.address.port ?? 0) > 0)
      _ = try Client(listener.address)
    }

    @Test("a taken address is an error that names it and what to change", arguments: ["tcp://127.0.0.1:0", "unix"])
    func taken(_ url: String) throws {
      let first = try Listener(address: SocketAddress.parse(url == "unix" ? "unix:\(socketPath("taken"))" : url))
      defer { first.drainAndClose() }
      let error = #expect(throws: Status.self) { try Listener(address: first.address) }
      #expect(error?.code == .unavailable)
      #expect(error?.message.contains("\(first.address)") == true)
      #expect(error?.message.contains("--listen") == true)
      if let port = first.address.port { #expect(error?.message.contains("port \(port) is in use") == true) }
    }

    @Test("IPv6 and IPv4 listen on one port side by side")
    func bothFamilies() throws {
      guard hasIPv6Loopback() else { return }
      let v4 = try Listener(address: SocketAddress.parse("tcp://0.0.0.0:0"))
      let port = try #require(v4.address.port)
      let v6 = try Listener(address: SocketAddress.parse("tcp://[::]:\(port)"))
      #expect(v6.address.port == port)
    }

    @Test("the file of a server that is gone is replaced, any other is left alone")
    func staleFile() throws {
      let path = socketPath("stale")
      let address = SocketAddress.unix(path: path)
      let dead = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
      #expect(address.withSystemAddress { bind(dead, $0, $1) } == 0)
      close(dead)
      let listener = try Listener(address: address, unixMode: 0o640)
      var status = stat()
      #expect(lstat(path, &status) == 0)
      #expect(status.st_mode & 0o777 == 0o640)
      _ = try Client(address)
      listener.drainAndClose()
      #expect(access(path, F_OK) != 0)

      let file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0o600)
      close(file)
      defer { unlink(path) }
      let error = #expect(throws: Status.self) { try Listener(address: address) }
      #expect(error?.message.contains("not a socket") == true)
      #expect(access(path, F_OK) == 0)
    }

    @Test("closing does not remove the file of a server that took the place")
    func replacedFile() throws {
      let path = socketPath("replaced")
      let old = try Listener(address: .unix(path: path))
      unlink(path)
      let new = try Listener(address: .unix(path: path))
      old.drainAndClose()
      #expect(access(path, F_OK) == 0)
      _ = try Client(new.address)
      new.drainAndClose()
      #expect(access(path, F_OK) != 0)
    }

    @Test("connections go to the reactor with the fewest", arguments: PollerKind.allCases)
    func fewest(_ poller: PollerKind) throws {
      let server = try EchoServer(poller, reactors: 3)
      defer { server.stop() }
      var clients: [Client] = []
      for index in 0..<12 {
        clients.append(try Client(server.address))
        #expect(clients[index].echoes(UInt8(index)))
      }
      #expect(server.reactors.map(\.connectionCount) == [4, 4, 4])
    }

    @Test("few and many connections are spread evenly, those that come after others left as well")
    func balance() throws {
      let server = try EchoServer(.epoll, reactors: 4)
      defer { server.stop() }
      func counts() -> [Int] { server.reactors.map(\.connectionCount) }
      var clients: [Client] = []
      for wanted in [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1], [2, 1, 1, 1]] {
        clients.append(try Client(server.address))
        #expect(clients[clients.count - 1].echoes(1))
        #expect(counts().sorted(by: >) == wanted)
      }
      for _ in 0..<403 { clients.append(try Client(server.address)) }
      for client in clients { #expect(client.echoes(2)) }
      #expect(counts() == [102, 102, 102, 102])
      // All of one reactor's leave: the next ones go where they were.
      let handles = server.handlers[1].handles.withLock { $0 }
      let reactor = server.reactors[1]
      _ = reactor.run { for handle in handles { reactor.close(handle, reason: .local, afterFlush: false) } }
      #expect(eventually { counts() == [102, 0, 102, 102] })
      for _ in 0..<102 { clients.append(try Client(server.address)) }
      #expect(eventually { counts() == [102, 102, 102, 102] })
    }

    @Test("connections over the limits are closed at once, and room comes back", arguments: PollerKind.allCases)
    func limits(_ poller: PollerKind) throws {
      for (inAll, perAddress, reason) in [(2, 10, RefusalReason.connectionLimit), (10, 2, .addressLimit)] {
        var limits = SocketLimits()
        limits.maxConnections = inAll
        limits.maxConnectionsPerAddress = perAddress
        let server = try EchoServer(poller, limits: limits)
        defer { server.stop() }
        var clients = [try Client(server.address), try Client(server.address)]
        for client in clients { #expect(client.echoes(1)) }
        #expect(try Client(server.address).isEnded())
        #expect(server.refusals.withLock { $0 } == [reason])
        #expect(server.reactor.statistics.refusals(reason) == 1)
        clients.removeLast()
        #expect(eventually { server.limiter.total == 1 })
        #expect(try Client(server.address).echoes(2))
      }
    }

    @Test("without descriptors a caller is turned away, and accepting begins again", arguments: PollerKind.allCases)
    func exhausted(_ poller: PollerKind) throws {
      var limits = SocketLimits()
      limits.acceptBackoff = .milliseconds(20)
      let calls = Mutex(0)
      let accept: Acceptor.AcceptCall = { listener, address, length in
        let call = calls.withLock { calls in
          calls += 1
          return calls
        }
        // The first fails; the second is the one with the reserved descriptor.
        if call == 1 {
          errno = EMFILE
          return -1
        }
        return martlet_accept(listener, address, length)
      }
      let server = try EchoServer(poller, limits: limits, accept: accept)
      defer { server.stop() }
      #expect(try Client(server.address).isEnded())
      #expect(try Client(server.address).echoes(5))
      #expect(server.reactor.statistics.refusals(.descriptors) == 1)
      #expect(server.refusals.withLock { $0 } == [.descriptors])
    }

    @Test("errors of one caller do not keep the next from being accepted", arguments: PollerKind.allCases)
    func passingErrors(_ poller: PollerKind) throws {
      let errors = Mutex([EINTR, ECONNABORTED, EPROTO, ENETDOWN])
      let accept: Acceptor.AcceptCall = { listener, address, length in
        if let error = errors.withLock({ $0.popLast() }) {
          errno = error
          return -1
        }
        return martlet_accept(listener, address, length)
      }
      let server = try EchoServer(poller, accept: accept)
      defer { server.stop() }
      #expect(try Client(server.address).echoes(5))
      #expect(server.refusals.withLock { $0.isEmpty })
    }

    @Test("a drain accepts everything queued before it closes", arguments: PollerKind.allCases)
    func drain(_ poller: PollerKind) throws {
      let server = try EchoServer(poller)
      let address = server.address
      // The reactor is busy while callers queue, more of them than it accepts in a round.
      let isBusy = DispatchSemaphore(value: 0)
      let release = DispatchSemaphore(value: 0)
      _ = server.reactor.post {
        isBusy.signal()
        release.wait()
      }
      isBusy.wait()
      let clients = try (0..<150).map { _ in try Client(address) }
      let drained = DispatchSemaphore(value: 0)
      DispatchQueue.global().async {
        server.listener.drainAndClose()
        drained.signal()
      }
      release.signal()
      #expect(drained.wait(timeout: .now() + 10) == .success)
      for client in clients { #expect(client.echoes(1)) }
      #expect(throws: (any Error).self) { try Client(address) }
      server.listener.drainAndClose()
      server.stop()
    }

    @Test("a listener can be closed on its reactor's own thread", arguments: PollerKind.allCases)
    func drainInside(_ poller: PollerKind) throws {
      let server = try EchoServer(poller)
      #expect(try Client(server.address).echoes(1))
      _ = server.reactor.run { server.listener.drainAndClose() }
      #expect(throws: (any Error).self) { try Client(server.address) }
      server.stop()
    }
  }
}

@Suite("Connection limiter")
struct ConnectionLimiterTests {
  @Test("IPv6 callers are counted by their /64, Unix sockets not by address")
  func networks() throws {
    var limits = SocketLimits()
    limits.maxConnections = 5
    limits.maxConnectionsPerAddress = 1
    let limiter = ConnectionLimiter(limits: limits)
    let first = SocketAddress.ipv6(high: 1, low: 1, scope: 0, port: 1)
    let neighbour = SocketAddress.ipv6(high: 1, low: 2, scope: 0, port: 2)
    #expect(limiter.admit(first) == nil)
    #expect(limiter.admit(neighbour) == .addressLimit)
    #expect(limiter.admit(.ipv6(high: 2, low: 1, scope: 0, port: 1)) == nil)
    limiter.release(first)
    #expect(limiter.admit(neighbour) == nil)
    for _ in 0..<3 { #expect(limiter.admit(.unix(path: "")) == nil) }
    #expect(limiter.admit(.unix(path: "")) == .connectionLimit)
    #expect(limiter.total == 5)
  }
}
