import CLinux
import Glibc
import MartletCore

/// A connected Unix-domain socket that carries whole messages, and descriptors with them.
///
/// Source: unix(7), `SOCK_SEQPACKET` and `SCM_RIGHTS`. One thread at a time.
public struct DescriptorChannel: ~Copyable, Sendable {
  public enum Event: Sendable {
    case message([UInt8], descriptors: [InheritedSocket])
    /// The peer is gone, or has sent what is no message of such a channel.
    case ended
    /// Nothing came in time.
    case timedOut
  }

  /// Bytes of the longest message.
  public static let maximumBytes = 4096
  /// Descriptors of one message.
  public static let maximumDescriptors = Int(MARTLET_DESCRIPTORS)

  private let descriptor: FileDescriptor
  /// Process and user at the other end.
  public let peer: (process: Int32, user: UInt32)

  /// Takes over a connected socket; nil when the peer cannot be told.
  init?(owning socket: consuming FileDescriptor) {
    var process: pid_t = 0
    var user: uid_t = 0
    guard martlet_peer(socket.rawValue, &process, &user) == 0 else { return nil }
    descriptor = socket
    peer = (process, user)
  }

  /// Connects to who listens at `path`; nil when nobody does.
  ///
  /// Throws `unavailable` when somebody may but cannot be reached.
  public static func connect(to path: String) throws(Status) -> DescriptorChannel? {
    let socket = FileDescriptor(owning: makeSocket())
    let number = socket.rawValue
    guard number >= 0 else { throw Status(.unavailable, "cannot connect to \(path): \(errorText(errno))") }
    let result = SocketAddress.unix(path: path).withSystemAddress { Glibc.connect(number, $0, $1) }
    guard result == 0 else {
      // A file without a process behind it is what one that ended by force leaves.
      if errno == ENOENT || errno == ECONNREFUSED { return nil }
      throw Status(.unavailable, "cannot connect to \(path): \(errorText(errno))")
    }
    return DescriptorChannel(owning: socket)
  }

  static func makeSocket() -> Int32 {
    socket(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
  }

  /// For `poll`; stays with the channel.
  public var rawValue: Int32 { descriptor.rawValue }

  /// Sends one message; false when the peer is gone or does not read.
  public func send(_ bytes: [UInt8], descriptors: [InheritedSocket] = []) -> Bool {
    let numbers = descriptors.map(\.rawValue)
    let sent = martlet_send_descriptors(descriptor.rawValue, bytes, bytes.count, numbers, Int32(numbers.count))
    return withExtendedLifetime(descriptors) { sent == bytes.count }
  }

  /// The next message, for which it waits up to `timeout`.
  ///
  /// Descriptors are called `name` in errors.
  public func receive(timeout: Duration, descriptorName name: String) -> Event {
    let end = MonotonicTime.now().advanced(by: timeout)
    while true {
      var bytes = [UInt8](repeating: 0, count: Self.maximumBytes)
      var numbers = [Int32](repeating: -1, count: Self.maximumDescriptors)
      var count = Int32(numbers.count)
      let received = martlet_receive_descriptors(descriptor.rawValue, &bytes, bytes.count, &numbers, &count)
      if received > 0 {
        let sockets = numbers.prefix(Int(count)).map { InheritedSocket(owning: $0, name: name, isSupervised: false) }
        return .message(Array(bytes.prefix(received)), descriptors: sockets)
      }
      guard received < 0, errno == EAGAIN else { return .ended }
      let left = end.nanoseconds(since: .now())
      guard left > 0 else { return .timedOut }
      var wanted = pollfd(fd: descriptor.rawValue, events: Int16(POLLIN), revents: 0)
      _ = poll(&wanted, 1, Int32(clamping: left / 1_000_000 + 1))
    }
  }
}
