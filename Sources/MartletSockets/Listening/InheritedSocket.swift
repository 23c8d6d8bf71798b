import CLinux
import Glibc
import MartletCore
import Synchronization

/// A listening socket that another process made: a service manager, or the server that ran before.
///
/// Closes itself unless a `Listener` takes it over. Any thread.
public final class InheritedSocket: Sendable {
  /// What it is called in errors.
  public let name: String
  /// Whether whoever started this process keeps the socket open, with its file, for the process after it.
  public let isSupervised: Bool
  private let descriptor: Atomic<Int32>

  /// Takes over an open descriptor; nobody else of this process may close it.
  public init(owning descriptor: Int32, name: String, isSupervised: Bool) {
    self.descriptor = Atomic(descriptor)
    self.name = name
    self.isSupervised = isSupervised
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
  }

  deinit {
    let number = take()
    if number >= 0 { _ = Glibc.close(number) }
  }

  /// Stays with this socket.
  public var rawValue: Int32 { descriptor.load(ordering: .acquiring) }

  /// Gives the descriptor up; -1 when it has gone before.
  func take() -> Int32 { descriptor.exchange(-1, ordering: .acquiringAndReleasing) }

  /// The same socket under another name; this one is empty then.
  public func renamed(_ name: String, isSupervised: Bool) -> InheritedSocket {
    InheritedSocket(owning: take(), name: name, isSupervised: isSupervised)
  }

  /// Where it listens. Throws `invalidArgument`, with its name, when it is no listening stream socket of a family that
  /// can be served.
  public func address() throws(Status) -> SocketAddress {
    let number = rawValue
    func refusal(_ what: String) -> Status {
      Status(.invalidArgument, "\(name) \(what); a listening stream socket is expected, TCP or Unix-domain")
    }
    guard fcntl(number, F_GETFD) >= 0 else { throw refusal("is not open") }
    guard let type = option(number, SO_TYPE) else { throw refusal("is not a socket") }
    guard type == Int32(SOCK_STREAM.rawValue) else {
      throw refusal(type == Int32(SOCK_DGRAM.rawValue) ? "is a datagram socket" : "is a socket of type \(type)")
    }
    guard let address = SocketAddress.filled(by: { getsockname(number, $0, $1) }) else {
      throw refusal("belongs to an unknown family")
    }
    if case .unix(let path) = address, path.isEmpty { throw refusal("has no path") }
    guard option(number, SO_ACCEPTCONN) ?? 0 != 0 else { throw refusal("(\(address)) does not listen") }
    return address
  }

  private func option(_ number: Int32, _ option: Int32) -> Int32? {
    var value: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    return getsockopt(number, SOL_SOCKET, option, &value, &length) == 0 ? value : nil
  }
}
