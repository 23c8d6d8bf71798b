import CLinux
import Glibc
import MartletCore

/// Where a process waits for others that open a `DescriptorChannel` to it: a socket's file for this user alone.
public struct DescriptorListener: ~Copyable, Sendable {
  private let descriptor: FileDescriptor
  private let file: UnixSocketFile?

  /// Listens at `path`, in the place of whatever socket's file is there, without a moment in which there is none.
  ///
  /// Throws `unavailable` with the path and the reason.
  public init(path: String) throws(Status) {
    func failure(_ error: Int32) -> Status { Status(.unavailable, "cannot listen at \(path): \(errorText(error))") }
    var status = stat()
    if lstat(path, &status) == 0, status.st_mode & S_IFMT != S_IFSOCK {
      throw Status(.unavailable, "cannot listen at \(path): the file exists and is not a socket")
    }
    let socket = FileDescriptor(owning: DescriptorChannel.makeSocket())
    let number = socket.rawValue
    guard number >= 0 else { throw failure(errno) }
    // Before bind the mode of the socket becomes that of the file: it is never open wider than wanted.
    fchmod(number, 0o600)
    let staged = path + ".new"
    guard staged.utf8.count <= SocketAddress.maxUnixPathBytes else { throw failure(ENAMETOOLONG) }
    unlink(staged)
    guard SocketAddress.unix(path: staged).withSystemAddress({ bind(number, $0, $1) }) == 0 else {
      throw failure(errno)
    }
    guard listen(number, 16) == 0, rename(staged, path) == 0 else {
      let error = errno
      unlink(staged)
      throw failure(error)
    }
    descriptor = socket
    file = UnixSocketFile(path: path)
  }

  /// For `poll`; stays with the listener.
  public var rawValue: Int32 { descriptor.rawValue }

  /// The next process that has connected; nil when none waits.
  public func accept() -> DescriptorChannel? {
    let accepted = martlet_accept(descriptor.rawValue, nil, nil)
    guard accepted >= 0 else { return nil }
    return DescriptorChannel(owning: FileDescriptor(owning: accepted))
  }

  /// Removes the file, unless another listener has taken its place.
  public func removeFile() { file?.remove() }
}
