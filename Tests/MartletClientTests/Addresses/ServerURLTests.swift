import MartletCore
import MartletSockets
import Testing

@testable import MartletClient

@Suite struct ServerURLTests {
  @Test(
    "URLs name a TCP or a Unix-domain socket",
    arguments: [
      ("ttrpc://127.0.0.1:9000", SocketAddress.ipv4(address: 0x7f00_0001, port: 9000)),
      ("ttrpc://10.1.2.3", .ipv4(address: 0x0a01_0203, port: 8001)),
      ("ttrpc://[::1]:7", .ipv6(high: 0, low: 1, scope: 0, port: 7)),
      ("ttrpc://[::1]", .ipv6(high: 0, low: 1, scope: 0, port: 8001)),
      ("ttrpc+unix:/run/m.sock", .unix(path: "/run/m.sock")),
      ("ttrpc+unix:///run/m.sock", .unix(path: "/run/m.sock")),
    ])
  func good(text: String, address: SocketAddress) throws {
    let url = try ServerURL(text)
    #expect(!url.needsLookUp)
    #expect(try url.resolve() == [address])
  }

  @Test("a host's name is looked up later")
  func name() throws {
    let url = try ServerURL("ttrpc://localhost:8001")
    #expect(url.needsLookUp)
    #expect(try url.resolve().first == .ipv4(address: 0x7f00_0001, port: 8001))
  }

  @Test(
    "protocols that this client does not speak yet are refused by name",
    arguments: [
      "grpc://h:1", "grpcs://h:1", "grpc+unix:/x", "ttrpcs://h:1",
    ])
  func notYet(text: String) {
    let error = #expect(throws: ClientError.self) { try ServerURL(text) }
    #expect(error?.code == .unimplemented)
    #expect(error?.message.contains("yet") == true)
  }

  @Test(
    "anything else is refused with what was expected",
    arguments: [
      "", "127.0.0.1:8001", "tcp://127.0.0.1:8001", "unix:/x", "ttrpc://", "ttrpc://:8001", "ttrpc://1.2.3.4:99999",
      "ttrpc://1.2.3.4:", "ttrpc+unix:", "http://1.2.3.4",
    ])
  func bad(text: String) {
    let error = #expect(throws: ClientError.self) { try ServerURL(text) }
    #expect(error?.code == .invalidArgument)
  }

  @Test("a list is separated by commas")
  func list() throws {
    #expect(
      try ServerURL.list("ttrpc://1.2.3.4:1, ttrpc+unix:/x").map(\.description) == [
        "ttrpc://1.2.3.4:1", "ttrpc+unix:/x",
      ])
    #expect(throws: ClientError.self) { try ServerURL.list("ttrpc://1.2.3.4:1,,") }
  }
}
