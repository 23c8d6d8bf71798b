import Foundation
import MartletCore
import MartletServer
import Testing

/// A datagram socket that stands for systemd's.
private final class Supervisor {
  private let descriptor: Int32

  init?(_ name: String) {
    descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    var bytes = Array(name.utf8)
    if bytes[0] == UInt8(ascii: "@") { bytes[0] = 0 }
    let offset = MemoryLayout<sockaddr_un>.offset(of: \.sun_path)!
    withUnsafeMutableBytes(of: &address) { $0[offset...].copyBytes(from: bytes) }
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, socklen_t(offset + bytes.count)) }
    }
    if bound != 0 { return nil }
  }

  deinit { close(descriptor) }

  /// The next datagram; a notifier has sent it before, so there is nothing to wait for.
  func next() -> String {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
    return count < 0 ? "nothing" : String(decoding: buffer[..<count], as: UTF8.self)
  }
}

@Suite("systemd notifier")
struct SystemdNotifierTests {
  private func speak(_ name: String) throws {
    let supervisor = try #require(Supervisor(name))
    let notifier = try #require(SystemdNotifier(environment: ["NOTIFY_SOCKET": name]))
    notifier.ready(status: "serving 2 models")
    #expect(supervisor.next() == "READY=1\nSTATUS=serving 2 models")
    let before = MonotonicTime.now().nanoseconds / 1000
    notifier.reloading()
    let lines = supervisor.next().split(separator: "\n")
    #expect(lines.first == "RELOADING=1")
    let moment = try #require(lines.last?.split(separator: "=").last.flatMap { UInt64($0) })
    #expect(moment >= before && moment <= MonotonicTime.now().nanoseconds / 1000)
    notifier.status("a\nREADY=1")
    #expect(supervisor.next() == "STATUS=a READY=1")
    notifier.stopping(status: "draining")
    #expect(supervisor.next() == "STOPPING=1\nSTATUS=draining")
    #expect(supervisor.next() == "nothing")
  }

  @Test("every change is one datagram to a socket in the file system")
  func path() throws {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("n-\(UUID().uuidString.prefix(8))").path
    defer { unlink(path) }
    try speak(path)
  }

  @Test("every change is one datagram to an abstract socket")
  func abstract() throws {
    try speak("@martlet-test-\(UUID().uuidString)")
  }

  @Test("a socket that nobody reads neither fails nor waits")
  func deafSupervisor() throws {
    let gone = try #require(SystemdNotifier(environment: ["NOTIFY_SOCKET": "/nowhere/notify"]))
    gone.ready(status: "x")
    let name = "@martlet-test-\(UUID().uuidString)"
    let supervisor = try #require(Supervisor(name))
    let notifier = try #require(SystemdNotifier(environment: ["NOTIFY_SOCKET": name]))
    for _ in 0..<10_000 { notifier.status("full") }
    #expect(supervisor.next() == "STATUS=full")
    while supervisor.next() != "nothing" {}
    notifier.stopping(status: "draining")
    #expect(supervisor.next() == "STOPPING=1\nSTATUS=draining")
  }

  @Test("without a usable NOTIFY_SOCKET there is no notifier")
  func absent() {
    let long = "/" + String(repeating: "x", count: 200)
    for environment in [
      [:], ["NOTIFY_SOCKET": ""], ["NOTIFY_SOCKET": "@"], ["NOTIFY_SOCKET": "vsock:2:1"], ["NOTIFY_SOCKET": long],
    ] {
      #expect(SystemdNotifier(environment: environment) == nil)
    }
  }
}
