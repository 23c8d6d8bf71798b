extension UnsafeRawBufferPointer {
  /// Whether both hold the same bytes; eight at a time, since names are compared for every call.
  @inlinable
  public func hasSameBytes(as other: UnsafeRawBufferPointer) -> Bool {
    guard count == other.count else { return false }
    var position = 0
    while position + 8 <= count {
      let mine = loadUnaligned(fromByteOffset: position, as: UInt64.self)
      let theirs = other.loadUnaligned(fromByteOffset: position, as: UInt64.self)
      if mine != theirs { return false }
      position += 8
    }
    while position < count {
      if self[position] != other[position] { return false }
      position += 1
    }
    return true
  }
}
