/// Free buffers of one reactor, by powers of two, so that a connection without waiting bytes holds none.
///
/// What a burst has left free goes back to the allocator: `trim`, called once in a while, frees what was not needed since
/// it was called last.
///
/// Not `Sendable`: belongs to its reactor's thread.
struct BufferPool: ~Copyable {
  static let smallestBytes = 4 << 10
  private static let classes = 20
  /// Free bytes that `trim` leaves: what a few busy connections take turns with.
  static let keptBytes = 128 << 10

  /// First free buffer of each class; a free buffer's first word points to the next.
  private let free: UnsafeMutablePointer<UnsafeMutableRawPointer?>
  private let retained: UnsafeMutablePointer<Int>
  private let rented: UnsafeMutablePointer<Int>
  /// The fewest retained bytes since the last `trim`.
  private let unneeded: UnsafeMutablePointer<Int>
  private let maxRetainedBytes: Int

  /// Keeps at most `maxRetainedBytes` of free buffers; more go back to the allocator.
  init(maxRetainedBytes: Int = 32 << 20) {
    self.maxRetainedBytes = maxRetainedBytes
    free = .allocate(capacity: Self.classes)
    free.initialize(repeating: nil, count: Self.classes)
    retained = .allocate(capacity: 1)
    retained.initialize(to: 0)
    rented = .allocate(capacity: 1)
    rented.initialize(to: 0)
    unneeded = .allocate(capacity: 1)
    unneeded.initialize(to: 0)
  }

  deinit {
    for index in 0..<Self.classes {
      while let buffer = free[index] {
        free[index] = buffer.load(as: UnsafeMutableRawPointer?.self)
        buffer.deallocate()
      }
    }
    free.deallocate()
    retained.deallocate()
    rented.deallocate()
    unneeded.deallocate()
  }

  /// Bytes that lie free.
  var retainedBytes: Int { retained.pointee }

  /// Bytes that are rented and not given back.
  var rentedBytes: Int { rented.pointee }

  /// A buffer of at least `bytes`, with undefined contents; the caller gives it back or deallocates it.
  func rent(atLeast bytes: Int) -> UnsafeMutableRawBufferPointer {
    let index = Self.sizeClass(bytes)
    precondition(index < Self.classes, "a buffer of \(bytes) bytes is larger than any bound allows")
    let size = Self.smallestBytes << index
    rented.pointee += size
    guard let buffer = free[index] else {
      return UnsafeMutableRawBufferPointer(start: .allocate(byteCount: size, alignment: 16), count: size)
    }
    free[index] = buffer.load(as: UnsafeMutableRawPointer?.self)
    retained.pointee -= size
    unneeded.pointee = min(unneeded.pointee, retained.pointee)
    return UnsafeMutableRawBufferPointer(start: buffer, count: size)
  }

  /// Frees as many bytes as lay free all the time since the last call, the largest buffers first, down to `keptBytes`.
  func trim() {
    var excess = unneeded.pointee
    for index in (0..<Self.classes).reversed() {
      let size = Self.smallestBytes << index
      while excess >= size, retained.pointee > Self.keptBytes, let buffer = free[index] {
        free[index] = buffer.load(as: UnsafeMutableRawPointer?.self)
        buffer.deallocate()
        retained.pointee -= size
        excess -= size
      }
    }
    unneeded.pointee = retained.pointee
  }

  /// Takes a rented buffer back.
  func giveBack(_ buffer: UnsafeMutableRawBufferPointer) {
    guard let start = buffer.baseAddress else { return }
    rented.pointee -= buffer.count
    guard retained.pointee + buffer.count <= maxRetainedBytes else {
      start.deallocate()
      return
    }
    let index = Self.sizeClass(buffer.count)
    start.storeBytes(of: free[index], as: UnsafeMutableRawPointer?.self)
    free[index] = start
    retained.pointee += buffer.count
  }

  private static func sizeClass(_ bytes: Int) -> Int {
    guard bytes > smallestBytes else { return 0 }
    return Int.bitWidth - (bytes - 1).leadingZeroBitCount - smallestBytes.trailingZeroBitCount
  }
}
