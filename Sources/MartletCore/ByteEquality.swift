extension UnsafeRawBufferPointer {
  /// Whether both hold the same bytes; eight at a time, since names are compared for every call.
  @inlinable @inline(__always)
  public func hasSameBytes(as other: UnsafeRawBufferPointer) -> Bool {
    guard count == other.count, let mine = baseAddress, let theirs = other.baseAddress else {
      return count == other.count
    }
    guard count >= 8 else {
      for position in 0..<count where self[position] != other[position] { return false }
      return true
    }
    var position = 0
    while position + 8 <= count {
      guard Self.haveSameWord(mine + position, theirs + position) else { return false }
      position += 8
    }
    // What is left is the end of the last eight, of which some are compared again.
    return Self.haveSameWord(mine + (count - 8), theirs + (count - 8))
  }

  @inlinable @inline(__always)
  static func haveSameWord(_ a: UnsafeRawPointer, _ b: UnsafeRawPointer) -> Bool {
    a.loadUnaligned(as: UInt64.self) == b.loadUnaligned(as: UInt64.self)
  }
}
