import Glibc

/// A file descriptor that closes itself.
///
/// Owns `rawValue` exclusively until it is destroyed or gives it up with `release()`.
public struct FileDescriptor: ~Copyable, Sendable {
  public let rawValue: Int32

  /// Takes over an open descriptor; nobody else may close it.
  public init(owning rawValue: Int32) { self.rawValue = rawValue }

  /// Gives the descriptor up without closing it; the caller owns it now.
  public consuming func release() -> Int32 {
    let descriptor = rawValue
    discard self
    return descriptor
  }

  // The result of close is of no use: on Linux the descriptor is gone whatever it says.
  deinit { _ = Glibc.close(rawValue) }
}
