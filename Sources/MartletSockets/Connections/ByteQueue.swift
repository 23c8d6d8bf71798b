import Glibc

/// Bytes in order and contiguous: added at the back, taken from the front; without bytes it holds no memory.
///
/// Its buffer comes from a pool, which every mutation is given; a queue that dies frees what it still holds.
struct ByteQueue: ~Copyable {
  private var buffer = UnsafeMutableRawBufferPointer(start: nil, count: 0)
  private var head = 0
  private var tail = 0

  init() {}

  deinit { buffer.baseAddress?.deallocate() }

  var count: Int { tail - head }
  var isEmpty: Bool { head == tail }
  /// Bytes of memory it holds.
  var capacity: Int { buffer.count }

  /// The bytes, valid until the next mutation.
  var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: buffer[head..<tail]) }

  /// Room for at least `room` more bytes behind the last; `add` makes them part of the queue.
  mutating func reserve(_ room: Int, from pool: borrowing BufferPool) -> UnsafeMutableRawPointer {
    if buffer.count - tail < room { makeRoom(room, from: pool) }
    // Non-nil: even a reservation of 0 bytes goes through makeRoom when there is no buffer yet.
    guard let start = buffer.baseAddress else {
      makeRoom(max(1, room), from: pool)
      return buffer.baseAddress.unsafelyUnwrapped
    }
    return start + tail
  }

  /// Makes the first `bytes` of what was reserved part of the queue.
  mutating func add(_ bytes: Int) {
    precondition(bytes >= 0 && bytes <= buffer.count - tail, "more bytes were added than reserved")
    tail += bytes
  }

  /// `bytes` more behind the last, to be filled, where there is room for them already.
  @inline(__always)
  mutating func extend(by bytes: Int) -> UnsafeMutableRawPointer? {
    guard buffer.count - tail >= bytes, let start = buffer.baseAddress else { return nil }
    let target = start + tail
    tail += bytes
    return target
  }

  /// `bytes` as the first of an empty queue, to be filled.
  @inline(__always)
  mutating func begin(with bytes: Int, from pool: borrowing BufferPool) -> UnsafeMutableRawPointer {
    assert(isEmpty && bytes > 0)
    // Something that was reserved and never added may have left a buffer.
    if buffer.count < bytes {
      pool.giveBack(buffer)
      buffer = pool.rent(atLeast: bytes)
    }
    head = 0
    tail = bytes
    return buffer.baseAddress.unsafelyUnwrapped
  }

  mutating func append(_ bytes: UnsafeRawBufferPointer, from pool: borrowing BufferPool) {
    guard let source = bytes.baseAddress, !bytes.isEmpty else { return }
    reserve(bytes.count, from: pool).copyMemory(from: source, byteCount: bytes.count)
    add(bytes.count)
  }

  /// Takes the first `bytes` away; the last one gives the buffer back.
  mutating func removeFirst(_ bytes: Int, to pool: borrowing BufferPool) {
    precondition(bytes >= 0 && bytes <= count, "more bytes were taken than there are")
    head += bytes
    if head == tail { removeAll(to: pool) }
  }

  mutating func removeAll(to pool: borrowing BufferPool) {
    pool.giveBack(buffer)
    buffer = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    head = 0
    tail = 0
  }

  private mutating func makeRoom(_ room: Int, from pool: borrowing BufferPool) {
    let count = self.count
    // Moving is worth it when it frees at least as much as it moves, so its cost stays constant a byte.
    if buffer.count - count >= room, head >= count, let start = buffer.baseAddress {
      memmove(start, start + head, count)
    } else {
      let larger = pool.rent(atLeast: count + room)
      if count > 0, let start = buffer.baseAddress {
        larger.baseAddress?.copyMemory(from: start + head, byteCount: count)
      }
      pool.giveBack(buffer)
      buffer = larger
    }
    head = 0
    tail = count
  }
}
