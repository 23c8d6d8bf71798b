import MartletCore

/// Messages as they come again and again: a caller whose rows have one shape sends the same bytes each time, but for the
/// values. One that agrees with a message read before in every byte outside of the values means the same, and need not
/// be read.
///
/// Bounded: a few messages of bounded length. What they mean may point into what is served, so all are forgotten when
/// that changes. Confined to its reactor.
final class RepeatedMessages<Meaning> {
  /// Some of a message's values.
  struct Values {
    /// Where they lie in the message.
    var offset: Int
    var count: Int
    /// The input or column that they are for.
    var target: Int
    /// Bytes of a row or an element.
    var stride: Int
  }

  struct Known {
    fileprivate var bytes: UnsafeMutableRawBufferPointer
    fileprivate var byteCount: Int
    /// In the order in which they lie in the message.
    fileprivate(set) var values: UnsafeMutableBufferPointer<Values>
    fileprivate(set) var valueCount: Int
    fileprivate(set) var meaning: Meaning
  }

  private static var slots: Int { 16 }
  private static var longestBytes: Int { 16 << 10 }
  private static var mostValues: Int { 4096 }

  private let known: UnsafeMutablePointer<UnsafeMutablePointer<Known>?>

  init() {
    known = .allocate(capacity: Self.slots)
    known.initialize(repeating: nil, count: Self.slots)
  }

  deinit {
    forget()
    known.deallocate()
  }

  /// What is known of a message, whose values may be any; nil when it has to be read. Valid until the next `remember`.
  @inline(__always)
  func find(_ message: UnsafeRawBufferPointer) -> UnsafePointer<Known>? {
    guard message.count >= 8, let start = message.baseAddress, let known = known[Self.slot(message)],
      known.pointee.byteCount == message.count
    else { return nil }
    let bytes = UnsafeRawPointer(known.pointee.bytes.baseAddress.unsafelyUnwrapped)
    let values = known.pointee.values.baseAddress.unsafelyUnwrapped
    var position = 0
    for index in 0..<known.pointee.valueCount {
      let gap = values[index].offset - position
      guard Self.agree(start + position, bytes + position, gap, readable: message.count - position) else { return nil }
      position += gap + values[index].count
    }
    let rest = message.count - position
    guard Self.agree(start + position, bytes + position, rest, readable: rest) else { return nil }
    return UnsafePointer(known)
  }

  /// Keeps what a message means, in place of another one when there are many.
  ///
  /// - Parameter values: in the order in which they lie in the message.
  func remember(_ message: UnsafeRawBufferPointer, _ values: UnsafeBufferPointer<Values>, _ meaning: Meaning) {
    guard message.count >= 8, message.count <= Self.longestBytes, values.count <= Self.mostValues else { return }
    let slot = Self.slot(message)
    let entry: UnsafeMutablePointer<Known>
    if let old = known[slot], old.pointee.bytes.count >= message.count + 8, old.pointee.values.count >= values.count {
      entry = old
    } else {
      // Never smaller than before, so that messages that take turns in a slot soon need no more memory.
      let bytes = max(message.count + 8, known[slot]?.pointee.bytes.count ?? 0)
      let places = max(1, values.count, known[slot]?.pointee.values.count ?? 0)
      free(slot)
      entry = .allocate(capacity: 1)
      entry.initialize(
        to: Known(
          bytes: .allocate(byteCount: bytes, alignment: 8), byteCount: 0, values: .allocate(capacity: places),
          valueCount: 0, meaning: meaning))
      known[slot] = entry
    }
    entry.pointee.bytes.copyMemory(from: message)
    entry.pointee.byteCount = message.count
    _ = entry.pointee.values.update(fromContentsOf: values)
    entry.pointee.valueCount = values.count
    entry.pointee.meaning = meaning
  }

  func forget() {
    for slot in 0..<Self.slots { free(slot) }
  }

  private func free(_ slot: Int) {
    guard let entry = known[slot] else { return }
    known[slot] = nil
    entry.pointee.bytes.deallocate()
    entry.pointee.values.deallocate()
    entry.deinitialize(count: 1)
    entry.deallocate()
  }

  /// By length and beginning, which has the model's name as a rule.
  @inline(__always)
  private static func slot(_ message: UnsafeRawBufferPointer) -> Int {
    let head = message.loadUnaligned(as: UInt64.self)
    let mixed = (head ^ UInt64(truncatingIfNeeded: message.count)) &* 0x9e37_79b9_7f4a_7c15
    return Int(truncatingIfNeeded: mixed >> 60)
  }

  /// Whether `count` bytes are the same; `a` may be read for `readable`, `b` for eight more than that.
  @inline(__always)
  private static func agree(_ a: UnsafeRawPointer, _ b: UnsafeRawPointer, _ count: Int, readable: Int) -> Bool {
    if count >= 8 {
      var position = 0
      repeat {
        guard difference(a, b, position) == 0 else { return false }
        position += 8
      } while position + 8 <= count
      return difference(a, b, count - 8) == 0
    }
    if readable >= 8 { return difference(a, b, 0) & ((1 << UInt64(8 * count)) - 1) == 0 }
    for index in 0..<count
    where a.load(fromByteOffset: index, as: UInt8.self) != b.load(fromByteOffset: index, as: UInt8.self) {
      return false
    }
    return true
  }

  @inline(__always)
  private static func difference(_ a: UnsafeRawPointer, _ b: UnsafeRawPointer, _ position: Int) -> UInt64 {
    let mine = a.loadUnaligned(fromByteOffset: position, as: UInt64.self)
    let theirs = b.loadUnaligned(fromByteOffset: position, as: UInt64.self)
    return (mine ^ theirs).littleEndian
  }
}
