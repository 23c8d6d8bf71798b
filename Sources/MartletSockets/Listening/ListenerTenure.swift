import Synchronization

/// Whether a listening socket is one process's alone. Any thread.
///
/// While others hold it as well, closing has to leave it as it is: `shutdown` would end it for all of them, the queued
/// connections are for whoever accepts next, and the file of a Unix-domain socket belongs to who serves on.
final class ListenerTenure: Sendable {
  private let shared: Atomic<Bool>
  private let file: Mutex<UnixSocketFile?>

  init(isShared: Bool, file: UnixSocketFile?) {
    shared = Atomic(isShared)
    self.file = Mutex(file)
  }

  var isShared: Bool { shared.load(ordering: .acquiring) }

  func share() { shared.store(true, ordering: .releasing) }

  /// The others are gone; `path` is that of a Unix-domain socket that came from them.
  func own(path: String?) {
    if let path { file.withLock { $0 = $0 ?? UnixSocketFile(path: path) } }
    shared.store(false, ordering: .releasing)
  }

  func removeFile() {
    guard !isShared else { return }
    file.withLock { $0?.remove() }
  }
}
