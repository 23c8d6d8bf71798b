import MartletCore

/// One socket of a reactor, with what waits on both sides of it.
struct Connection: ~Copyable {
  enum Phase {
    case free
    case connecting
    case open
    /// Closes when its output is sent.
    case flushing
    /// Everything is sent and said; waits for the peer's end, so that a reset does not overtake the last answer.
    case lingering
    /// Ends with this round.
    case closing
  }

  var descriptor: Int32 = -1
  var generation: UInt32 = 0
  var phase = Phase.free
  var peer = PeerInfo(address: .unix(path: ""), listener: .unix(path: ""))
  var reason = CloseReason.local
  var limiter: ConnectionLimiter?
  /// Bytes that came and were not consumed.
  var input = ByteBuffer()
  var output = ByteBuffer()
  var interest: Interest = []
  var isReadingPaused = false
  /// Too much output waits: nothing is read until half of it is gone.
  var isOverHighWater = false
  var isPeerFinished = false
  var wantsParse = false
  var isDirty = false
  /// The owner was told that it is gone.
  var isToldClosed = false
  var hasReceived = false
  var began = MonotonicTime(nanoseconds: 0)
  var lastActivity = MonotonicTime(nanoseconds: 0)
  /// Since when an incomplete frame waits for its rest.
  var incompleteSince = MonotonicTime(nanoseconds: 0)
  /// When waiting output last moved.
  var lastWritten = MonotonicTime(nanoseconds: 0)
}

/// Connections of one reactor at addresses that do not change, found by slot and generation.
struct ConnectionSlab: ~Copyable {
  private static let chunkSize = 256

  private var chunks: [UnsafeMutablePointer<Connection>] = []
  private var free: [UInt32] = []
  private(set) var slots = 0

  deinit {
    for chunk in chunks {
      chunk.deinitialize(count: Self.chunkSize)
      chunk.deallocate()
    }
  }

  /// A free slot, for a new connection.
  mutating func take() -> UInt32 {
    if let slot = free.popLast() { return slot }
    if slots == chunks.count * Self.chunkSize {
      let chunk = UnsafeMutablePointer<Connection>.allocate(capacity: Self.chunkSize)
      for index in 0..<Self.chunkSize { (chunk + index).initialize(to: Connection()) }
      chunks.append(chunk)
    }
    slots += 1
    return UInt32(slots - 1)
  }

  /// Makes the slot free; handles to it are stale from now on.
  mutating func giveBack(_ slot: UInt32) {
    let connection = self[slot]
    connection.pointee.phase = .free
    connection.pointee.generation &+= 1
    free.append(slot)
  }

  subscript(slot: UInt32) -> UnsafeMutablePointer<Connection> {
    chunks[Int(slot) / Self.chunkSize] + Int(slot) % Self.chunkSize
  }

  /// The connection, unless the handle is stale.
  func find(_ handle: ConnectionHandle) -> UnsafeMutablePointer<Connection>? {
    guard Int(handle.slot) < slots else { return nil }
    let connection = self[handle.slot]
    guard connection.pointee.generation == handle.generation, connection.pointee.phase != .free else { return nil }
    return connection
  }
}
