import Glibc

/// Bytes that wait: written at the end, taken from the front. Without memory while it is empty and released.
struct ByteBuffer: ~Copyable {
  private(set) var start: UnsafeMutableRawPointer?
  private(set) var capacity = 0
  private var first = 0
  private var last = 0

  deinit { free(start) }

  var count: Int { last - first }
  var isEmpty: Bool { first == last }

  var bytes: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: start.map { $0 + first }, count: count)
  }

  /// Room for `more` bytes at the end; valid until the next call. `pool` gives the memory where it can.
  mutating func reserve(_ more: Int, _ pool: inout BufferPool) -> UnsafeMutableRawPointer {
    if last + more <= capacity { return start! + last }
    let needed = count + more
    if needed <= capacity {
      memmove(start!, start! + first, count)
    } else {
      let (memory, size) = pool.take(max(needed, needed > BufferPool.pieceBytes ? 2 * capacity : 0))
      if count > 0 { memcpy(memory, start! + first, count) }
      if let old = start { pool.giveBack(old, capacity) }
      start = memory
      capacity = size
    }
    last -= first
    first = 0
    return start! + last
  }

  /// The first `more` reserved bytes have been written.
  mutating func append(_ more: Int) { last += more }

  /// Takes bytes from the front.
  mutating func remove(_ bytes: Int) {
    first += bytes
    if first == last {
      first = 0
      last = 0
    }
  }

  /// Gives the memory of an empty buffer back.
  mutating func release(_ pool: inout BufferPool) {
    guard isEmpty, let memory = start else { return }
    pool.giveBack(memory, capacity)
    start = nil
    capacity = 0
    first = 0
    last = 0
  }

  /// Forgets everything.
  mutating func clear(_ pool: inout BufferPool) {
    first = 0
    last = 0
    release(&pool)
  }
}

/// Memory of a reactor's buffers: pieces of one size are kept, so that a steady load takes none from the system and
/// an idle connection has none.
struct BufferPool: ~Copyable {
  static let pieceBytes = 16 << 10
  private static let keptPieces = 64

  private var pieces: [UnsafeMutableRawPointer] = []

  init() { pieces.reserveCapacity(Self.keptPieces) }

  deinit { for piece in pieces { free(piece) } }

  mutating func take(_ bytes: Int) -> (UnsafeMutableRawPointer, Int) {
    if bytes <= Self.pieceBytes {
      return (pieces.popLast() ?? malloc(Self.pieceBytes)!, Self.pieceBytes)
    }
    return (malloc(bytes)!, bytes)
  }

  mutating func giveBack(_ memory: UnsafeMutableRawPointer, _ bytes: Int) {
    if bytes == Self.pieceBytes, pieces.count < Self.keptPieces {
      pieces.append(memory)
    } else {
      free(memory)
    }
  }
}
