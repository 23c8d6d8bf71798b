/// Bytes of texts, stored one behind the other in chunks that never move, so that a `TextRef` into it stays valid
/// until `reset`. Confined to the owner of its tile.
public final class TextHeap {
  private var chunks: [UnsafeMutableRawBufferPointer] = []
  private var current = 0
  private var used = 0
  /// Bytes stored since the last reset.
  public private(set) var bytes = 0

  public init() {}

  deinit {
    for chunk in chunks { chunk.deallocate() }
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
      chunks.append(.allocate(byteCount: max(count, 16 << 10), alignment: 16))
      used = 0
    }
    defer {
      used += count
      bytes += count
    }
    return chunks[current].baseAddress!.advanced(by: used)
  }

  /// Forgets all texts. Keeps one chunk of memory, so that one large batch does not hold its memory for ever.
  public func reset() {
    if chunks.count > 1 {
      for chunk in chunks.dropFirst() { chunk.deallocate() }
      chunks.removeSubrange(1...)
    }
    current = 0
    used = 0
    bytes = 0
  }
}
