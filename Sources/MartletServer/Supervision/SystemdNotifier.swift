import CLinux
import Glibc
import MartletCore

/// Tells systemd how the service is: one datagram for each change to the socket that `NOTIFY_SOCKET` names.
///
/// Source: systemd, sd_notify(3). Where nobody listens the calls do nothing. Changes of state wait up to a
/// second for a supervisor that is behind with its reading, since it would wait for them for ever; `status` never does.
public final class SystemdNotifier: Sendable {
  private let path: String
  private let descriptor: Int32

  /// Nil when `NOTIFY_SOCKET` names no Unix-domain socket: the process was not started by systemd.
  public init?(environment: [String: String]) {
    guard let path = environment["NOTIFY_SOCKET"], path.hasPrefix("/") || path.hasPrefix("@"), path.utf8.count > 1,
      path.utf8.count < MemoryLayout.size(ofValue: sockaddr_un().sun_path)
    else { return nil }
    self.path = path
    descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    if descriptor < 0 { return nil }
  }

  deinit { close(descriptor) }

  /// The service answers calls; also the end of a reload.
  public func ready(status: String) { send("READY=1\nSTATUS=\(Self.line(status))") }

  /// The service has begun to end.
  public func stopping(status: String) { send("STOPPING=1\nSTATUS=\(Self.line(status))") }

  /// Another process of the service is its main one from here on, and tells how it is.
  public func handedOver(to process: Int32) {
    send("MAINPID=\(process)\nSTATUS=process \(process) has taken over")
  }

  /// The service reads its models anew; `ready` says when it has.
  public func reloading() {
    // The moment must not lie before systemd's own reading of the clock, so it is taken here.
    send("RELOADING=1\nMONOTONIC_USEC=\(MonotonicTime.now().nanoseconds / 1000)")
  }

  /// One line for `systemctl status`.
  public func status(_ text: String) { send("STATUS=\(Self.line(text))", attempts: 1) }

  /// A line end would begin another assignment.
  private static func line(_ text: String) -> String {
    String(String.UnicodeScalarView(text.unicodeScalars.prefix(512).map { $0.value < 0x20 ? " " : $0 }))
  }

  private func send(_ state: String, attempts: Int = 100) {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    var bytes = Array(path.utf8)
    // An abstract name begins with a NUL and has no end but the address's length.
    if bytes[0] == UInt8(ascii: "@") { bytes[0] = 0 }
    let offset = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 2
    withUnsafeMutableBytes(of: &address) { $0[offset...].copyBytes(from: bytes) }
    let length = socklen_t(offset + bytes.count)
    let message = Array(state.utf8)
    for attempt in 1...attempts {
      let count = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          sendto(descriptor, message, message.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT), $0, length)
        }
      }
      guard count < 0, errno == EAGAIN || errno == EINTR, attempt < attempts else { return }
      usleep(10_000)
    }
  }
}
