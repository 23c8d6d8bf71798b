import MartletCore

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Collects texts one by one into a `ConstantTensor`, in memory whose size is known from the start.
public struct TextTensorBuilder: ~Copyable {
  private let elements: UnsafeMutablePointer<TextRef>
  private let heap: UnsafeMutablePointer<UInt8>
  private let capacity: Int
  private let heapCapacity: Int
  private var count = 0
  private var used = 0
  private var finished = false
  /// The last texts that were new.
  private var recent = InlineArray<4, TextRef>(repeating: .empty)
  private var next = 0

  /// Room for `count` texts of `bytes` bytes together.
  public init(count: Int, bytes: Int) {
    capacity = count
    heapCapacity = bytes
    elements = UnsafeMutableRawPointer.allocate(
      byteCount: max(16, count * MemoryLayout<TextRef>.stride), alignment: 64
    ).bindMemory(to: TextRef.self, capacity: count)
    heap = .allocate(capacity: max(1, bytes))
  }

  deinit {
    if !finished {
      UnsafeMutableRawPointer(elements).deallocate()
      heap.deallocate()
    }
  }

  /// Copies the next text, which is valid UTF-8.
  ///
  /// Precondition: no more texts and bytes than there is room for.
  public mutating func append(_ text: UnsafeRawBufferPointer) {
    guard !appendKnown(text) else { return }
    precondition(count < capacity && text.count <= heapCapacity - used)
    var copy = TextRef.empty
    if text.count > 0, let start = text.baseAddress {
      let target = UnsafeMutableRawPointer(heap + used)
      target.copyMemory(from: start, byteCount: text.count)
      copy = TextRef(start: UnsafePointer(heap + used), count: text.count)
      used += text.count
      recent[next] = copy
      next = (next + 1) % recent.count
    }
    (elements + count).initialize(to: copy)
    count += 1
  }

  /// Appends `text` when it is one of the last that were new; false otherwise.
  ///
  /// Lists often have a few texts again and again. Equal ones share their bytes, so memory behind the last byte is never
  /// touched, and so never taken. Precondition: as for `append`.
  @inline(__always)
  public mutating func appendKnown(_ text: UnsafeRawBufferPointer) -> Bool {
    guard text.count > 0 else { return false }
    for index in recent.indices where recent[index].count == text.count {
      let known = recent[index]
      guard let start = known.start, let other = text.baseAddress, memcmp(start, other, text.count) == 0 else {
        continue
      }
      precondition(count < capacity)
      (elements + count).initialize(to: known)
      count += 1
      return true
    }
    return false
  }

  /// The tensor of all texts; `shape` has as many elements as there is room for, and all have been appended.
  public consuming func finish(_ shape: Shape) -> ConstantTensor {
    precondition(count == shape.elements)
    let (memory, heap) = release()
    return ConstantTensor(texts: memory, heap: heap, shape)
  }

  /// Hands over the memory: the references, and the bytes that they point into.
  consuming func release() -> (texts: UnsafeMutableRawPointer, heap: UnsafeMutableRawPointer) {
    precondition(count == capacity)
    finished = true
    return (UnsafeMutableRawPointer(elements), UnsafeMutableRawPointer(heap))
  }
}
