import Glibc

/// Bytes of a file or pipe, a block at a time.
///
/// The descriptor is borrowed: whoever opened it closes it.
public struct ByteSource: Sendable {
  public enum Outcome: Sendable, Equatable {
    /// There is at least one byte at `position`.
    case bytes
    /// Nothing came within the time that the caller was ready to wait.
    case idle
    case end
  }

  private let descriptor: Int32
  /// The block that was read last.
  var block: [UInt8]
  /// The first byte of the block that nobody has taken.
  var position = 0
  private var isAtEnd: Bool

  public init(descriptor: Int32) {
    self.descriptor = descriptor
    block = []
    isAtEnd = false
  }

  /// Bytes that lie in memory.
  public init(_ bytes: [UInt8]) {
    descriptor = -1
    block = bytes
    isAtEnd = true
  }

  /// Makes sure that there is a byte to take; waits for it, unless `waitMilliseconds` says for how long.
  public mutating func fill(waitMilliseconds: Int32? = nil) throws(InputError) -> Outcome {
    if position < block.count { return .bytes }
    if isAtEnd { return .end }
    if let waitMilliseconds {
      var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      if poll(&request, 1, waitMilliseconds) == 0 { return .idle }
    }
    let size = 1 << 16
    let descriptor = descriptor
    var failure: Int32 = 0
    block = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
      var result = read(descriptor, buffer.baseAddress, size)
      while result < 0, errno == EINTR { result = read(descriptor, buffer.baseAddress, size) }
      if result < 0 { failure = errno }
      count = max(0, result)
    }
    position = 0
    guard failure == 0 else { throw InputError("the input cannot be read: \(String(cString: strerror(failure)))") }
    isAtEnd = block.isEmpty
    return isAtEnd ? .end : .bytes
  }
}
