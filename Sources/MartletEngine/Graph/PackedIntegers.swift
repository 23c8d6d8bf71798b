/// A long list of integers in as few bytes each as the widest of them needs: forests have millions of small ones.
public struct PackedIntegers: Sendable {
  private enum Storage {
    case bytes([Int8])
    case shorts([Int16])
    case words([Int32])
    case longs([Int64])
  }

  private var storage: Storage
  public private(set) var count = 0

  /// Room for `count` integers that `append` will add; `bits` has every bit in which any of them differs from its sign.
  public init(count: Int, bits: UInt64) {
    if bits <= UInt64(Int8.max) {
      storage = .bytes([])
    } else if bits <= UInt64(Int16.max) {
      storage = .shorts([])
    } else if bits <= UInt64(Int32.max) {
      storage = .words([])
    } else {
      storage = .longs([])
    }
    reserve(count)
  }

  public init(_ values: [Int64]) {
    storage = .longs(values)
    count = values.count
  }

  /// What `init(count:bits:)` wants of a value.
  @inline(__always)
  public static func bits(of value: Int64) -> UInt64 { UInt64(bitPattern: value ^ (value >> 63)) }

  private mutating func reserve(_ count: Int) {
    switch storage {
    case .bytes: storage = .bytes(Self.empty(count))
    case .shorts: storage = .shorts(Self.empty(count))
    case .words: storage = .words(Self.empty(count))
    case .longs: storage = .longs(Self.empty(count))
    }
  }

  private static func empty<T>(_ capacity: Int) -> [T] {
    var array: [T] = []
    array.reserveCapacity(capacity)
    return array
  }

  /// Adds what `values` gives, `count` times. Precondition: each has no other bits than `init` was told.
  public mutating func append<Failure: Error>(
    each values: (_ add: (Int64) -> Void) throws(Failure) -> Void
  ) throws(Failure) {
    switch storage {
    case .bytes(var array):
      storage = .bytes([])
      try values { array.append(Int8(truncatingIfNeeded: $0)) }
      count = array.count
      storage = .bytes(array)
    case .shorts(var array):
      storage = .shorts([])
      try values { array.append(Int16(truncatingIfNeeded: $0)) }
      count = array.count
      storage = .shorts(array)
    case .words(var array):
      storage = .words([])
      try values { array.append(Int32(truncatingIfNeeded: $0)) }
      count = array.count
      storage = .words(array)
    case .longs(var array):
      storage = .longs([])
      try values { array.append($0) }
      count = array.count
      storage = .longs(array)
    }
  }

  @inline(__always)
  public subscript(index: Int) -> Int64 {
    switch storage {
    case .bytes(let array): Int64(array[index])
    case .shorts(let array): Int64(array[index])
    case .words(let array): Int64(array[index])
    case .longs(let array): array[index]
    }
  }

  /// All of them in eight bytes each.
  public var values: [Int64] {
    if case .longs(let array) = storage { return array }
    return (0..<count).map { self[$0] }
  }

  /// Whether there is one at least, and all are the same.
  var isConstant: Bool {
    guard count > 0 else { return false }
    for index in 0..<count where self[index] != self[0] { return false }
    return true
  }

  /// Bytes that each takes.
  var width: Int {
    switch storage {
    case .bytes: 1
    case .shorts: 2
    case .words: 4
    case .longs: 8
    }
  }
}
