/// Bytes of texts, stored one behind the other in chunks that never move, so that a `TextRef` into it stays valid
/// until `reset`. Confined to the owner of its tile.
public final class TextHeap {
  /// A moment in the filling of a heap.
  public struct Position: Sendable {
    fileprivate var chunk: Int
    fileprivate var used: Int
    fileprivate var bytes: Int
  }

  private static let keptBytes = 256 << 10
  private static let chunkBytes = 16 << 10

  private var chunks: [UnsafeMutableRawBufferPointer] = []
  private var current = 0
  private var used = 0
  /// Bytes stored since the last reset.
  public private(set) var bytes = 0

  public init() {}

  deinit {
    for chunk in chunks { chunk.deallocate() }
  }

  /// Bytes of memory that it holds, used or not.
  public private(set) var heldBytes = 0

  /// The most that storing texts of `count` bytes together can add to `heldBytes`; 0 when they fit as it is.
  public func growth(for count: Int) -> Int {
    let left = current < chunks.count ? chunks[current].count - used : 0
    // A text that does not fit leaves the rest of its chunk unused; no chunk is left emptier than the text was long.
    return count <= left ? 0 : 2 * count + Self.chunkBytes
  }

  /// Copies `text` and returns where it lies now.
  public func store(_ text: UnsafeRawBufferPointer) -> TextRef {
    guard let source = text.baseAddress, text.count > 0 else { return .empty }
    let target = reserve(text.count)
    target.copyMemory(from: source, byteCount: text.count)
    return TextRef(start: UnsafePointer(target.assumingMemoryBound(to: UInt8.self)), count: text.count)
  }

  /// Room for `count` bytes; valid until `reset`.
  public func reserve(_ count: Int) -> UnsafeMutableRawPointer {
    while current < chunks.count, used + count > chunks[current].count {
      current += 1
      used = 0
    }
    if current == chunks.count {
      chunks.append(.allocate(byteCount: max(count, Self.chunkBytes), alignment: 16))
      heldBytes += chunks[current].count
      used = 0
    }
    defer {
      used += count
      bytes += count
    }
    return chunks[current].baseAddress!.advanced(by: used)
  }

  public var position: Position { Position(chunk: current, used: used, bytes: bytes) }

  /// Forgets the texts that were stored since `position` was read; their room is used again.
  public func rewind(to position: Position) {
    current = position.chunk
    used = position.used
    bytes = position.bytes
  }

  /// Forgets all texts. Keeps one chunk of memory that is not large, so that one batch does not hold its memory for
  /// ever.
  public func reset() {
    let kept = chunks.first.map { $0.count <= Self.keptBytes ? 1 : 0 } ?? 0
    if chunks.count > kept {
      for chunk in chunks.dropFirst(kept) {
        heldBytes -= chunk.count
        chunk.deallocate()
      }
      chunks.removeSubrange(kept...)
    }
    current = 0
    used = 0
    bytes = 0
  }
}
