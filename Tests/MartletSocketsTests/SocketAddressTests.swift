import Glibc
import MartletCore
import Testing

@testable import MartletSockets

@Suite("Socket addresses")
struct SocketAddressTests {
  @Test(
    "an address is printed as it is written",
    arguments: [
      "tcp://127.0.0.1:8001", "tcp://0.0.0.0:0", "tcp://255.255.255.255:65535", "tcp://[::1]:9",
      "tcp://[2001:db8::7]:80",
      "unix:/run/m.sock", "unix:relative.sock",
    ])
  func roundTrip(_ text: String) throws {
    let address = try SocketAddress.parse(text)
    #expect(address.description == text)
    #expect(try SocketAddress.parse(address.description) == address)
  }

  @Test("the parts are what the text says")
  func parts() throws {
    #expect(try SocketAddress.parse("tcp://10.1.2.3:44") == .ipv4(address: 0x0A01_0203, port: 44))
    #expect(
      try SocketAddress.parse("tcp://[fe80::1%3]:5") == .ipv6(high: 0xFE80_0000_0000_0000, low: 1, scope: 3, port: 5))
    #expect(try SocketAddress.parse("unix:///run/x") == .unix(path: "/run/x"))
    #expect(try SocketAddress.parse("tcp://localhost:7") == .ipv4(address: 0x7F00_0001, port: 7))
    #expect(try SocketAddress.parse("tcp://[::1]:9").port == 9)
    #expect(try SocketAddress.parse("unix:/x").port == nil)
  }

  @Test(
    "a malformed address is refused with what was expected",
    arguments: [
      ("127.0.0.1:8001", "tcp://HOST:PORT"), ("http://x:1", "tcp://HOST:PORT"), ("tcp://127.0.0.1", "port is missing"),
      ("tcp://127.0.0.1:65536", "0 to 65535"), ("tcp://127.0.0.1:", "0 to 65535"), ("tcp://127.0.0.1:-1", "0 to 65535"),
      ("tcp://127.0.0.1:+1", "0 to 65535"), ("tcp://:8001", "host is missing"), ("tcp://::1:80", "brackets"),
      ("tcp://[::1]", "[IPV6-ADDRESS]"), ("tcp://[::1]80", "[IPV6-ADDRESS]"), ("tcp://[1.2.3.4]:80", "not an IPv6"),
      ("unix:", "unix:PATH"), ("unix:/a\0b", "unix:PATH"), ("unix:/" + String(repeating: "x", count: 107), "108 bytes"),
      (String(repeating: "y", count: 5_000), "tcp://HOST:PORT"),
    ])
  func malformed(_ text: String, _ expectation: String) {
    let error = #expect(throws: Status.self) { try SocketAddress.parse(text) }
    #expect(error?.code == .invalidArgument)
    #expect(error?.message.contains(expectation) == true, "\(error?.message ?? "")")
    #expect((error?.message.utf8.count ?? 0) < 500)
  }

  @Test("only loopback and Unix sockets are local")
  func local() throws {
    for text in ["tcp://127.0.0.1:1", "tcp://127.255.3.4:1", "tcp://[::1]:1", "tcp://[::ffff:127.0.0.1]:1", "unix:/x"] {
      #expect(try SocketAddress.parse(text).isLoopbackOrUnix, "\(text)")
    }
    for text in ["tcp://0.0.0.0:1", "tcp://128.0.0.1:1", "tcp://[::]:1", "tcp://[::2]:1", "tcp://[::ffff:10.0.0.1]:1"] {
      #expect(try !SocketAddress.parse(text).isLoopbackOrUnix, "\(text)")
    }
  }

  @Test("the kernel's form and back is the same address")
  func system() {
    let longest = String(repeating: "p", count: SocketAddress.maxUnixPathBytes)
    for address in [
      SocketAddress.ipv4(address: 0x0102_0304, port: 0x1234),
      .ipv6(high: 0x0102_0304_0506_0708, low: 9, scope: 2, port: 80),
      .unix(path: "/tmp/x"), .unix(path: longest), .unix(path: ""),
    ] {
      #expect(address.withSystemAddress { SocketAddress($0, length: $1) } == address)
    }
    let tooShort = SocketAddress.ipv4(address: 1, port: 1).withSystemAddress { SocketAddress($0, length: $1 - 1) }
    #expect(tooShort == nil)
  }
}
