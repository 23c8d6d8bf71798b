/// The ids of calls of one connection that are answered together, at even distances in memory. Lent for a call.
@frozen
public struct CallRun {
  @usableFromInline let first: UnsafeRawPointer
  @usableFromInline let stride: Int
  public let count: Int

  /// - Parameter stride: bytes from one id to the next.
  @inlinable @inline(__always)
  public init(first: UnsafePointer<CallID>, stride: Int, count: Int) {
    self.first = UnsafeRawPointer(first)
    self.stride = stride
    self.count = count
  }

  /// A part of the run.
  @inlinable @inline(__always)
  public func part(from start: Int, count: Int) -> CallRun {
    assert(start >= 0 && count >= 0 && start + count <= self.count, "a part that is not in the run")
    return CallRun(first: self[start], stride: stride, count: count)
  }

  @inlinable
  public subscript(index: Int) -> UnsafePointer<CallID> {
    @inline(__always) get {
      assert(index >= 0 && index < count, "a call that is not in the run")
      return (first + index * stride).assumingMemoryBound(to: CallID.self)
    }
  }
}
