import MartletCore

/// Finds names by their bytes without making strings of them.
///
/// The bytes lie in memory of their own, since reading an array of arrays retains an element for every look.
public final class NameIndex: @unchecked Sendable {
  // `@unchecked Sendable`: written by `init` only.
  public let names: [String]
  private let bytes: UnsafeMutableRawBufferPointer
  /// Where each name begins in `bytes`, and behind the last one the end.
  private let starts: UnsafeMutablePointer<Int32>
  /// Open addressing over a power of two of slots, at most half of them taken.
  private let slots: UnsafeMutableBufferPointer<Int32>

  /// - Parameter names: distinct; a repeated name is found at its first place.
  public init(_ names: [String]) {
    self.names = names
    bytes = .allocate(byteCount: max(1, names.reduce(0) { $0 + $1.utf8.count }), alignment: 8)
    starts = .allocate(capacity: names.count + 1)
    var end = 0
    for (index, name) in names.enumerated() {
      (starts + index).initialize(to: Int32(end))
      UnsafeMutableRawBufferPointer(rebasing: bytes[end...]).copyBytes(from: name.utf8)
      end += name.utf8.count
    }
    (starts + names.count).initialize(to: Int32(end))
    var size = 8
    while size < names.count * 2 { size *= 2 }
    slots = .allocate(capacity: size)
    slots.initialize(repeating: -1)
    for index in names.indices {
      var slot = Self.hash(name(index)) & (size - 1)
      while slots[slot] >= 0 { slot = (slot + 1) & (size - 1) }
      slots[slot] = Int32(index)
    }
  }

  deinit {
    bytes.deallocate()
    starts.deallocate()
    slots.deallocate()
  }

  /// Index of the name, nil when there is none such.
  public func find(_ name: UnsafeRawBufferPointer) -> Int? {
    var slot = Self.hash(name) & (slots.count - 1)
    while slots[slot] >= 0 {
      let index = Int(slots[slot])
      if self.name(index).hasSameBytes(as: name) { return index }
      slot = (slot + 1) & (slots.count - 1)
    }
    return nil
  }

  /// The same; tries `guess` first, since callers send names in the same order again and again.
  public func find(_ name: UnsafeRawBufferPointer, guess: Int) -> Int? {
    guess < names.count && self.name(guess).hasSameBytes(as: name) ? guess : find(name)
  }

  private func name(_ index: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: bytes[Int(starts[index])..<Int(starts[index + 1])])
  }

  /// FNV-1a.
  private static func hash(_ name: UnsafeRawBufferPointer) -> Int {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in name { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return Int(truncatingIfNeeded: hash >> 1)
  }
}
