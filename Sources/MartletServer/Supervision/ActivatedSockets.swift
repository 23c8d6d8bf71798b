import Glibc
import MartletCore
import MartletSockets

/// The listening sockets that a service manager gave this process.
///
/// Source: systemd, sd_listen_fds(3): `LISTEN_FDS` descriptors from 3 on when `LISTEN_PID` is this process, named by
/// `LISTEN_FDNAMES`.
public struct ActivatedSockets: Sendable {
  static let first: Int32 = 3

  let sockets: [InheritedSocket]

  /// Whether there are any.
  public var isEmpty: Bool { sockets.isEmpty }

  /// A process that was started without any.
  public static let none = ActivatedSockets(sockets: [])

  /// Takes them, once, and unsets the variables, so that no child takes them for its own. Before threads are started.
  ///
  /// Throws `invalidArgument` when a variable or a descriptor is not what it has to be.
  public static func take(environment: [String: String]) throws(Status) -> ActivatedSockets {
    for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"] { unsetenv(name) }
    return ActivatedSockets(sockets: try sockets(environment: environment, process: getpid()))
  }

  static func sockets(environment: [String: String], process: Int32) throws(Status) -> [InheritedSocket] {
    guard let count = environment["LISTEN_FDS"], let owner = environment["LISTEN_PID"] else { return [] }
    guard let owner = Int32(owner), owner > 0 else {
      throw Status(.invalidArgument, "LISTEN_PID: got '\(owner.prefix(64))', expected a process's number")
    }
    // They were meant for the process that started this one.
    guard owner == process else { return [] }
    guard let count = Int32(count), (0...Int32(DescriptorChannel.maximumDescriptors)).contains(count) else {
      throw Status(
        .invalidArgument,
        "LISTEN_FDS: got '\(count.prefix(64))', expected a number up to \(DescriptorChannel.maximumDescriptors)")
    }
    let names = (environment["LISTEN_FDNAMES"] ?? "").split(separator: ":", omittingEmptySubsequences: false)
    var sockets: [InheritedSocket] = []
    for index in 0..<count {
      let name = Int(index) < names.count && !names[Int(index)].isEmpty ? " (\(names[Int(index)].prefix(255)))" : ""
      let socket = InheritedSocket(
        owning: first + index, name: "LISTEN_FDS: descriptor \(first + index)\(name)", isSupervised: true)
      _ = try socket.address()
      sockets.append(socket)
    }
    return sockets
  }
}
