import CKernels
import MartletCore

/// Keys that one column's values are looked up by; a value's code is the number of its key, and the number of keys for a
/// value that is none of them.
final class CodeDictionary: Sendable {
  enum Keys: Hashable {
    case texts([[UInt8]])
    /// Whole numbers; real values are cut towards zero first, as `OneHotEncoder` does.
    case integers([Int64])
    /// Real values that have to be equal; NaN is found when it is among them.
    case reals([Double])
    /// Real values that others are compared with, in their order (`IntervalTable.order`).
    case intervals([Int64])

    var count: Int {
      switch self {
      case .texts(let keys): keys.count
      case .integers(let keys): keys.count
      case .reals(let keys): keys.count
      case .intervals(let keys): keys.count
      }
    }

    /// How many codes there are.
    var codes: Int { if case .intervals = self { 2 * count + 2 } else { count + 1 } }
  }

  let keys: Keys
  /// Owned; immutable once made.
  nonisolated(unsafe) let texts: OpaquePointer?
  private let numbers: NumberTable?
  private let intervals: IntervalTable?

  /// Precondition: the keys are all different.
  init(_ keys: Keys) {
    self.keys = keys
    switch keys {
    case .texts(let keys):
      let bytes = keys.flatMap { $0 }
      texts = bytes.withUnsafeBufferPointer { bytes in
        var next = bytes.baseAddress
        let list = keys.map { key in
          defer { next = next.map { $0 + key.count } }
          return martlet_text(start: next, count: key.count)
        }
        return martlet_dictionary_make(list, list.count)
      }
      numbers = nil
      intervals = nil
    case .integers(let keys):
      texts = nil
      numbers = NumberTable(keys.map { UInt64(bitPattern: $0) })
      intervals = nil
    case .reals(let keys):
      texts = nil
      numbers = NumberTable(keys.map(Self.pattern))
      intervals = nil
    case .intervals(let keys):
      texts = nil
      numbers = nil
      intervals = IntervalTable(keys)
    }
  }

  deinit {
    if let texts { martlet_dictionary_free(texts) }
  }

  /// Whether the keys are texts that a caller can send.
  var areTexts: Bool {
    guard case .texts(let keys) = keys else { return false }
    return keys.allSatisfy { $0.withUnsafeBytes { $0.isUTF8 } }
  }

  /// Bits that are the same for equal numbers: -0 as 0, every NaN as one.
  static func pattern(_ value: Double) -> UInt64 {
    value == 0 ? 0 : value.isNaN ? Double.nan.bitPattern : value.bitPattern
  }

  /// Writes the codes of every `step`th of the elements of `type` that begin at `start`, `rows` of them.
  func find(
    _ start: UnsafeRawPointer, _ type: ElementType, step: Int, rows: Int, to codes: UnsafeMutablePointer<Int32>
  ) {
    if let texts { return martlet_dictionary_codes(texts, start, step, rows, codes) }
    if let intervals {
      if type == .float32 {
        intervals.find(start.assumingMemoryBound(to: Float.self), step, rows, codes)
      } else {
        intervals.find(start.assumingMemoryBound(to: Double.self), step, rows, codes)
      }
      return
    }
    guard let numbers else { return }
    let cuts = if case .integers = keys { true } else { false }
    switch type {
    case .int64: find(start, Int64.self, step, rows, codes, numbers) { UInt64(bitPattern: $0) }
    case .int32: find(start, Int32.self, step, rows, codes, numbers) { UInt64(bitPattern: Int64($0)) }
    case .float32 where cuts: find(start, Float.self, step, rows, codes, numbers) { Self.cut(Double($0)) }
    case .float64 where cuts: find(start, Double.self, step, rows, codes, numbers) { Self.cut($0) }
    case .float32: find(start, Float.self, step, rows, codes, numbers) { Self.pattern(Double($0)) }
    default: find(start, Double.self, step, rows, codes, numbers) { Self.pattern($0) }
    }
  }

  @inline(__always)
  private static func cut(_ value: Double) -> UInt64? {
    // Beyond this range no whole number is one of 64 bits.
    guard value > -0x1p63, value < 0x1p63 else { return value == -0x1p63 ? UInt64(bitPattern: Int64.min) : nil }
    return UInt64(bitPattern: Int64(value))
  }

  @inline(__always)
  private func find<T: BitwiseCopyable>(
    _ start: UnsafeRawPointer, _: T.Type, _ step: Int, _ rows: Int, _ codes: UnsafeMutablePointer<Int32>,
    _ table: NumberTable, _ key: (T) -> UInt64?
  ) {
    let values = start.assumingMemoryBound(to: T.self)
    for row in 0..<rows { codes[row] = key(values[row * step]).map { table.find($0) } ?? table.count }
  }
}

/// Real numbers by where they are among others: below all of them, equal to the first, between it and the second, and so
/// on; NaN comes last.
final class IntervalTable: @unchecked Sendable {
  // `@unchecked Sendable`: written by its initializer only.
  private let bounds: UnsafeMutablePointer<Int64>
  private let count: Int

  init(_ keys: [Int64]) {
    count = keys.count
    bounds = .allocate(capacity: max(1, count))
    for (index, key) in keys.enumerated() { (bounds + index).initialize(to: key) }
  }

  deinit { bounds.deallocate() }

  /// A whole number that is greater for a greater number; that of -0 is below that of 0.
  static func order(_ value: Double) -> Int64 {
    let bits = Int64(bitPattern: value.bitPattern)
    return bits ^ ((bits >> 63) & .max)
  }

  /// The number that `order` makes `key` of.
  static func value(_ key: Int64) -> Double { Double(bitPattern: UInt64(bitPattern: key ^ ((key >> 63) & .max))) }

  @inline(__always)
  func find<T: BinaryFloatingPoint>(
    _ values: UnsafePointer<T>, _ step: Int, _ rows: Int, _ codes: UnsafeMutablePointer<Int32>
  ) {
    for row in 0..<rows {
      let value = Double(values[row * step])
      let key = Self.order(value)
      // How many bounds are below the value: halves that shrink without a branch on the value.
      var below = 0
      var length = count
      while length > 0 {
        let half = (length + 1) / 2
        below += bounds[below + half - 1] < key ? half : 0
        length -= half
      }
      let isBound = below < count && bounds[below] == key
      codes[row] = Int32(value.isNaN ? 2 * count + 1 : 2 * below + (isBound ? 1 : 0))
    }
  }
}

/// Numbers by their bits: open addressing over a power of two of slots, at most half of them taken.
private final class NumberTable: @unchecked Sendable {
  // `@unchecked Sendable`: written by its initializer only.
  private let slots: UnsafeMutablePointer<(key: UInt64, code: Int32)>
  private let mask: Int
  let count: Int32

  init(_ keys: [UInt64]) {
    var size = 8
    while size < keys.count * 2 { size *= 2 }
    slots = .allocate(capacity: size)
    slots.initialize(repeating: (0, -1), count: size)
    mask = size - 1
    count = Int32(keys.count)
    for (index, key) in keys.enumerated() {
      var slot = Self.hash(key) & mask
      while slots[slot].code >= 0 { slot = (slot + 1) & mask }
      slots[slot] = (key, Int32(index))
    }
  }

  deinit { slots.deallocate() }

  private static func hash(_ key: UInt64) -> Int { Int((key &* 0x9e37_79b9_7f4a_7c15) >> 33) }

  func find(_ key: UInt64) -> Int32 {
    var slot = Self.hash(key) & mask
    while slots[slot].code >= 0 {
      if slots[slot].key == key { return slots[slot].code }
      slot = (slot + 1) & mask
    }
    return count
  }
}
