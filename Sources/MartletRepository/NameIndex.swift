/// Finds names by their bytes without making strings of them.
public struct NameIndex: Sendable {
  public let names: [String]
  private let bytes: [[UInt8]]
  /// Open addressing over a power of two of slots, at most half of them taken.
  private var slots: [Int32]

  /// - Parameter names: distinct; a repeated name is found at its first place.
  public init(_ names: [String]) {
    self.names = names
    bytes = names.map { Array($0.utf8) }
    var size = 8
    while size < names.count * 2 { size *= 2 }
    slots = Array(repeating: -1, count: size)
    for (index, name) in bytes.enumerated() {
      var slot = name.withUnsafeBytes { Self.hash($0) } & (size - 1)
      while slots[slot] >= 0 { slot = (slot + 1) & (size - 1) }
      slots[slot] = Int32(index)
    }
  }

  /// Index of the name, nil when there is none such.
  public func find(_ name: UnsafeRawBufferPointer) -> Int? {
    var slot = Self.hash(name) & (slots.count - 1)
    while slots[slot] >= 0 {
      let index = Int(slots[slot])
      if matches(index, name) { return index }
      slot = (slot + 1) & (slots.count - 1)
    }
    return nil
  }

  /// The same; tries `guess` first, since callers send names in the same order again and again.
  public func find(_ name: UnsafeRawBufferPointer, guess: Int) -> Int? {
    guess < bytes.count && matches(guess, name) ? guess : find(name)
  }

  private func matches(_ index: Int, _ name: UnsafeRawBufferPointer) -> Bool {
    bytes[index].count == name.count && bytes[index].withUnsafeBytes { $0.elementsEqual(name) }
  }

  /// FNV-1a.
  private static func hash(_ name: UnsafeRawBufferPointer) -> Int {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in name { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return Int(truncatingIfNeeded: hash >> 1)
  }
}
