import CLinux
import Glibc
import MartletCore
import Testing

@testable import MartletSockets

extension RealSockets {
  @Suite("A listening socket of two servers")
  struct SharedListenerTests {
    @Test("who lets go leaves the socket, its queue and its file to the other", arguments: PollerKind.allCases)
    func handOver(_ poller: PollerKind) throws {
      for isUnix in [false, true] {
        let path = socketPath("shared")
        let old = try EchoServer(poller, isUnix ? "unix:\(path)" : "tcp://127.0.0.1:0")
        #expect(try Client(old.address).echoes(1))
        let copy = try old.listener.copy()
        #expect(try copy.address() == old.address)
        let new = try Listener(adopting: copy)
        #expect(new.address == old.address)
        #expect(copy.rawValue == -1)
        let staying = try Client(old.address)
        #expect(staying.echoes(2))
        old.listener.drainAndClose()
        // Nobody accepts now; the socket stays open, and the old server does not wake for it.
        let waiting = try Client(new.address)
        #expect(staying.echoes(3))
        let rounds = old.handler.rounds.value
        usleep(50_000)
        #expect(old.handler.rounds.value <= rounds + 2)

        let next = try EchoServer(poller, listener: new)
        #expect(waiting.echoes(4))
        old.stop()
        #expect(try Client(next.address).echoes(5))
        new.own()
        next.listener.drainAndClose()
        #expect(throws: (any Error).self) { try Client(next.address) }
        if isUnix { #expect(access(path, F_OK) != 0) }
        next.stop()
      }
    }

    @Test("a copy that comes to nothing changes nothing")
    func withdrawn() throws {
      let path = socketPath("withdrawn")
      let listener = try Listener(address: .unix(path: path))
      do {
        let adopted = try Listener(adopting: try listener.copy())
        adopted.drainAndClose()
      }
      #expect(access(path, F_OK) == 0)
      _ = try Client(listener.address)
      listener.own()
      listener.drainAndClose()
      #expect(access(path, F_OK) != 0)
      #expect(throws: Status.self) { try listener.copy() }
    }

    @Test("a service manager's socket is never this process's alone")
    func supervised() throws {
      let path = socketPath("supervised")
      let manager = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
      defer {
        close(manager)
        unlink(path)
      }
      #expect(SocketAddress.unix(path: path).withSystemAddress { bind(manager, $0, $1) } == 0)
      #expect(listen(manager, 8) == 0)
      let listener = try Listener(
        adopting: InheritedSocket(owning: dup(manager), name: "web", isSupervised: true))
      listener.own()
      listener.drainAndClose()
      #expect(access(path, F_OK) == 0)
      _ = try Client(.unix(path: path))
    }

    @Test("what is no listening stream socket is refused by its name")
    func refused() throws {
      let file = open("/dev/null", O_RDONLY | O_CLOEXEC)
      let datagram = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
      let quiet = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
      let packets = socket(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue), 0)
      for (number, what) in [
        (file, "is not a socket"), (datagram, "is a datagram socket"), (quiet, "does not listen"),
        (packets, "is a socket of type"), (9_999, "is not open"),
      ] {
        let socket = InheritedSocket(owning: number, name: "descriptor \(number)", isSupervised: true)
        let error = #expect(throws: Status.self) { try Listener(adopting: socket) }
        #expect(error?.code == .invalidArgument)
        #expect(error?.message.hasPrefix("descriptor \(number) ") == true)
        #expect(error?.message.contains(what) == true)
      }
    }
  }

  @Suite("Messages with descriptors")
  struct DescriptorChannelTests {
    private func channels() throws -> (ChannelBox, ChannelBox) {
      var ends: [Int32] = [-1, -1]
      let kind = Int32(SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
      try #require(socketpair(AF_UNIX, kind, 0, &ends) == 0)
      return (try #require(ChannelBox(ends[0])), try #require(ChannelBox(ends[1])))
    }

    @Test("bytes and descriptors arrive together, and the peer is known")
    func passes() throws {
      let (one, other) = try channels()
      let peer = one.channel.peer
      #expect(peer.process == getpid())
      #expect(peer.user == geteuid())
      let listener = try Listener(address: .parse("tcp://127.0.0.1:0"))
      let sent = one.channel.send([1, 2, 3], descriptors: [try listener.copy(), try listener.copy()])
      #expect(sent)
      let event = other.channel.receive(timeout: .zero, descriptorName: "x")
      guard case .message(let bytes, let descriptors) = event else {
        Issue.record("no message")
        return
      }
      #expect(bytes == [1, 2, 3])
      let addresses = try descriptors.map { try $0.address() }
      #expect(addresses == [listener.address, listener.address])
      #expect(descriptors.allSatisfy { fcntl($0.rawValue, F_GETFD) & FD_CLOEXEC != 0 })
    }

    @Test("silence times out, an end is told, a message that is too long ends it")
    func ends() throws {
      var pair: (one: ChannelBox, other: ChannelBox)? = try channels()
      let other = try #require(pair?.other)
      guard case .timedOut = other.channel.receive(timeout: .milliseconds(20), descriptorName: "") else {
        Issue.record("no time out")
        return
      }
      let long = pair?.one.channel.send([UInt8](repeating: 0, count: DescriptorChannel.maximumBytes + 1))
      #expect(long == true)
      guard case .ended = other.channel.receive(timeout: .seconds(5), descriptorName: "") else {
        Issue.record("a long message was taken")
        return
      }
      pair = nil
      guard case .ended = other.channel.receive(timeout: .seconds(5), descriptorName: "") else {
        Issue.record("no end")
        return
      }
      let late = other.channel.send([1])
      #expect(!late)
    }

    @Test("a listener takes the place of another, for this user alone, and removes its own file only")
    func listeners() throws {
      let path = socketPath("channel")
      let none = try DescriptorChannel.connect(to: path) == nil
      #expect(none)
      let first = try DescriptorListener(path: path)
      let second = try DescriptorListener(path: path)
      first.removeFile()
      var status = stat()
      #expect(lstat(path, &status) == 0)
      #expect(status.st_mode & 0o777 == 0o600)
      let client = try DescriptorChannel.connect(to: path)
      let isConnected = client != nil
      #expect(isConnected)
      let isThere = second.accept() != nil
      #expect(isThere)
      second.removeFile()
      #expect(access(path, F_OK) != 0)
      let error = #expect(throws: Status.self) { _ = try DescriptorListener(path: "/nowhere/at/all") }
      #expect(error?.message.contains("/nowhere/at/all") == true)
    }
  }
}

/// Expectations cannot hold what cannot be copied.
private final class ChannelBox {
  let channel: DescriptorChannel

  init?(_ descriptor: Int32) {
    guard let channel = DescriptorChannel(owning: FileDescriptor(owning: descriptor)) else { return nil }
    self.channel = channel
  }
}
