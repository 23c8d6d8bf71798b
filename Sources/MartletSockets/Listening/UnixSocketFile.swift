import Glibc
import MartletCore

/// The file of a listening Unix-domain socket, removed by whoever made it and by nobody else.
struct UnixSocketFile: Sendable {
  private let path: String
  private let device: dev_t
  private let inode: ino_t

  /// Remembers the file that was just bound; nil when it is gone already.
  init?(path: String) {
    var status = stat()
    guard lstat(path, &status) == 0 else { return nil }
    self.path = path
    device = status.st_dev
    inode = status.st_ino
  }

  /// Removes the file unless another one has taken its place.
  func remove() {
    var status = stat()
    guard lstat(path, &status) == 0, status.st_dev == device, status.st_ino == inode else { return }
    unlink(path)
  }

  /// Removes what a server that is gone left at `address`: a socket's file on which nobody answers.
  ///
  /// Throws `unavailable` when somebody does, or when the file is something else.
  static func removeStale(_ path: String, of address: SocketAddress) throws(Status) {
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    guard status.st_mode & S_IFMT == S_IFSOCK else {
      throw Status(.unavailable, "cannot listen on \(address): the file exists and is not a socket")
    }
    let probe = FileDescriptor(owning: makeStreamSocket(for: address))
    let number = probe.rawValue
    guard number >= 0 else { throw Status(.resourceExhausted, "cannot listen on \(address): \(errorText(errno))") }
    let result = address.withSystemAddress { Glibc.connect(number, $0, $1) }
    // Refused means that no process has it open; a full queue (EAGAIN) or any other answer that one may.
    guard result != 0, errno == ECONNREFUSED else {
      throw Status(
        .unavailable,
        "cannot listen on \(address): a running server answers there; stop it or choose another path with --listen")
    }
    unlink(path)
  }
}
