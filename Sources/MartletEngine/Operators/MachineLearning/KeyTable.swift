import MartletCore

/// Finds values by keys of one type; the first of equal keys counts.
struct KeyTable {
  private enum Keys {
    case integers([Int64: Int32])
    /// By bit pattern, -0 as 0 and every NaN as one.
    case floats([UInt64: Int32])
    case texts(TextTable)
  }

  private let keys: Keys
  private let matchesNaN: Bool
  let count: Int

  init(integers: [Int64]) {
    count = integers.count
    matchesNaN = false
    keys = .integers(
      Dictionary(zip(integers, (0..<integers.count).map(Int32.init))) { first, _ in first })
  }

  /// `matchesNaN`: whether a key that is NaN is found by NaN, rather than never.
  init(floats: [Double], matchesNaN: Bool) {
    count = floats.count
    self.matchesNaN = matchesNaN
    keys = .floats(
      Dictionary(zip(floats.map(Self.pattern), (0..<floats.count).map(Int32.init))) { first, _ in first })
  }

  init(texts: ConstantTensor) {
    count = texts.count
    matchesNaN = false
    keys = .texts(TextTable(texts))
  }

  private static func pattern(_ value: Double) -> UInt64 {
    value == 0 ? 0 : value.isNaN ? Double.nan.bitPattern : value.bitPattern
  }

  @inline(__always)
  func find(_ value: Int64) -> Int? {
    guard case .integers(let table) = keys else { return nil }
    return table[value].map(Int.init)
  }

  @inline(__always)
  func find(_ value: Double) -> Int? {
    guard case .floats(let table) = keys, matchesNaN || !value.isNaN else { return nil }
    return table[Self.pattern(value)].map(Int.init)
  }

  @inline(__always)
  func find(_ value: TextRef) -> Int? {
    guard case .texts(let table) = keys else { return nil }
    return table.find(value)
  }
}

/// Texts by their bytes: open addressing over a power of two of slots, at most half of them taken.
struct TextTable {
  private let texts: ConstantTensor
  private var slots: [Int32]

  init(_ texts: ConstantTensor) {
    self.texts = texts
    var size = 8
    while size < texts.count * 2 { size *= 2 }
    slots = Array(repeating: -1, count: size)
    let values = texts.pointer(as: TextRef.self)
    for index in 0..<texts.count where find(values[index]) == nil {
      var slot = Self.hash(values[index]) & (size - 1)
      while slots[slot] >= 0 { slot = (slot + 1) & (size - 1) }
      slots[slot] = Int32(index)
    }
  }

  func find(_ text: TextRef) -> Int? {
    let values = texts.pointer(as: TextRef.self)
    var slot = Self.hash(text) & (slots.count - 1)
    while slots[slot] >= 0 {
      let index = Int(slots[slot])
      if values[index].count == text.count, values[index].bytes.elementsEqual(text.bytes) { return index }
      slot = (slot + 1) & (slots.count - 1)
    }
    return nil
  }

  /// FNV-1a.
  private static func hash(_ text: TextRef) -> Int {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in text.bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return Int(truncatingIfNeeded: hash >> 1)
  }
}
