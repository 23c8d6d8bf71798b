import CProtobufC
import Glibc

/// Memory for unpacked messages: protobuf-c allocates from it, `reset` frees all of it at once.
///
/// Capped, since a small hostile message unpacks into fifty times its size. Over the cap an allocation fails,
/// protobuf-c gives up, and `exhausted` tells that from a malformed message. Confined to one thread.
public final class MessageArena {
  fileprivate struct State {
    var chunk: UnsafeMutableRawPointer
    var chunkBytes: Int
    var used: Int
    /// Bytes of all chunks before the current one.
    var earlier: Int
    /// A chunk that was used before and waits for the next large message, and its bytes.
    var spare: UnsafeMutableRawPointer?
    var spareBytes: Int
    let cap: Int
    var exhausted: Bool
  }

  private static let firstChunkBytes = 64 << 10
  /// The largest chunk that is kept, so that calls of some thousand rows do not pay for pages that the kernel has to clear.
  static let keptBytes = 8 << 20
  /// In front of every chunk: the chunk before it, or nil.
  fileprivate static let linkBytes = 16

  private let state: UnsafeMutablePointer<State>
  private let allocator: UnsafeMutablePointer<ProtobufCAllocator>
  /// Whether nothing was unpacked since the last reset: most calls are read without an arena.
  @usableFromInline var isClean = true
  /// Whether the spare chunk was used since `dropUnneeded`.
  private var isSpareNeeded = false

  /// - Parameter capBytes: the most that one message (with its envelope) may take.
  public init(capBytes: Int) {
    let bytes = Self.firstChunkBytes
    let chunk = malloc(bytes)!
    chunk.storeBytes(of: nil, as: UnsafeMutableRawPointer?.self)
    state = .allocate(capacity: 1)
    state.initialize(
      to: State(
        chunk: chunk, chunkBytes: bytes, used: Self.linkBytes, earlier: 0, spare: nil, spareBytes: 0,
        cap: max(capBytes, bytes), exhausted: false))
    allocator = .allocate(capacity: 1)
    allocator.initialize(
      to: ProtobufCAllocator(alloc: arenaAllocate, free: arenaFree, allocator_data: UnsafeMutableRawPointer(state)))
  }

  deinit {
    var chunk: UnsafeMutableRawPointer? = state.pointee.chunk
    while let this = chunk {
      chunk = this.load(as: UnsafeMutableRawPointer?.self)
      free(this)
    }
    free(state.pointee.spare)
    state.deallocate()
    allocator.deallocate()
  }

  /// Whether an allocation failed since the last reset because of the cap.
  public var exhausted: Bool { state.pointee.exhausted }

  /// Whether a chunk is kept for the next large message; `dropUnneeded` is to be called now and then.
  public var keepsSpare: Bool { state.pointee.spare != nil }

  /// Lets the chunk go that is kept, when no message needed it since this was called last.
  public func dropUnneeded() {
    if !isSpareNeeded {
      free(state.pointee.spare)
      (state.pointee.spare, state.pointee.spareBytes) = (nil, 0)
    }
    isSpareNeeded = false
  }

  /// Frees every message. Memory beyond the first chunk and one of at most 8 MiB goes back to the allocator.
  @inlinable @inline(__always)
  public func reset() {
    if !isClean { freeAll() }
  }

  @usableFromInline
  func freeAll() {
    isClean = true
    if state.pointee.earlier > 0, state.pointee.chunkBytes <= Self.keptBytes,
      state.pointee.chunkBytes > state.pointee.spareBytes
    {
      let previous = state.pointee.chunk.load(as: UnsafeMutableRawPointer?.self)!
      free(state.pointee.spare)
      (state.pointee.spare, state.pointee.spareBytes) = (state.pointee.chunk, state.pointee.chunkBytes)
      isSpareNeeded = true
      state.pointee.chunk = previous
    }
    while let previous = state.pointee.chunk.load(as: UnsafeMutableRawPointer?.self) {
      free(state.pointee.chunk)
      state.pointee.chunk = previous
    }
    state.pointee.chunkBytes = Self.firstChunkBytes
    state.pointee.earlier = 0
    state.pointee.used = Self.linkBytes
    state.pointee.exhausted = false
  }

  /// Gives protobuf-c this arena: pass the pointer to an `unpack` function, and free nothing of what it returns.
  public func unpack<Message>(
    _ bytes: UnsafeRawBufferPointer,
    _ unpack: (UnsafeMutablePointer<ProtobufCAllocator>?, Int, UnsafePointer<UInt8>?) -> UnsafeMutablePointer<Message>?
  ) -> UnsafeMutablePointer<Message>? {
    isClean = false
    return unpack(allocator, bytes.count, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self))
  }
}

private nonisolated func arenaAllocate(_ data: UnsafeMutableRawPointer?, _ count: Int) -> UnsafeMutableRawPointer? {
  let state = data!.assumingMemoryBound(to: MessageArena.State.self)
  let (rounded, overflow) = count.addingReportingOverflow(15)
  guard !overflow else {
    state.pointee.exhausted = true
    return nil
  }
  let bytes = rounded & ~15
  if state.pointee.used + bytes > state.pointee.chunkBytes {
    let least = bytes + MessageArena.linkBytes
    let earlier = state.pointee.earlier + state.pointee.chunkBytes
    let most = max(state.pointee.cap - earlier, bytes) + MessageArena.linkBytes
    let isSpareFit = state.pointee.spareBytes >= least && state.pointee.spareBytes <= most
    let size = isSpareFit ? state.pointee.spareBytes : min(max(state.pointee.chunkBytes * 2, least), most)
    guard bytes <= state.pointee.cap, earlier <= state.pointee.cap - bytes,
      let chunk = isSpareFit ? state.pointee.spare : malloc(size)
    else {
      state.pointee.exhausted = true
      return nil
    }
    if isSpareFit { (state.pointee.spare, state.pointee.spareBytes) = (nil, 0) }
    chunk.storeBytes(of: state.pointee.chunk, as: UnsafeMutableRawPointer?.self)
    state.pointee.earlier = earlier
    state.pointee.chunkBytes = size
    state.pointee.chunk = chunk
    state.pointee.used = MessageArena.linkBytes
  }
  defer { state.pointee.used += bytes }
  return state.pointee.chunk + state.pointee.used
}

private nonisolated func arenaFree(_: UnsafeMutableRawPointer?, _: UnsafeMutableRawPointer?) {}
