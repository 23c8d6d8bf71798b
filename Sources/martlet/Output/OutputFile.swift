import Glibc

/// A file that is written in large pieces; standard output as a rule.
///
/// Not shared between tasks: whoever writes owns it.
struct OutputFile: ~Copyable {
  private let descriptor: Int32
  private let isOwned: Bool
  private var buffer: [UInt8] = []
  private let flushBytes = 1 << 16

  /// Standard output.
  init() {
    descriptor = STDOUT_FILENO
    isOwned = false
  }

  /// A new file at `path`; an old one is replaced.
  init(creating path: String) throws(Failure) {
    descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    isOwned = true
    guard descriptor >= 0 else {
      throw Failure(.usage, "\(path) cannot be written: \(String(cString: strerror(errno)))")
    }
  }

  deinit {
    if isOwned { Glibc.close(descriptor) }
  }

  mutating func write(_ text: String) throws(Failure) {
    buffer.append(contentsOf: text.utf8)
    if buffer.count >= flushBytes { try flush() }
  }

  mutating func write(_ bytes: [UInt8]) throws(Failure) {
    buffer.append(contentsOf: bytes)
    if buffer.count >= flushBytes { try flush() }
  }

  mutating func flush() throws(Failure) {
    var start = 0
    while start < buffer.count {
      let written = buffer.withUnsafeBytes {
        Glibc.write(descriptor, $0.baseAddress! + start, $0.count - start)
      }
      if written < 0, errno == EINTR { continue }
      if written < 0, errno == EPIPE {
        // The reader has had enough, as `head` does: end as any command does then.
        signal(SIGPIPE, SIG_DFL)
        raise(SIGPIPE)
      }
      guard written >= 0 else {
        throw Failure(.failed, "the output cannot be written: \(String(cString: strerror(errno)))")
      }
      start += written
    }
    buffer.removeAll(keepingCapacity: true)
  }
}
