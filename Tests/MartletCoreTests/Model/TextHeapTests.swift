import Testing

@testable import MartletCore

@Suite("Texts of a tile")
struct TextHeapTests {
  private func store(_ text: [UInt8], in heap: TextHeap) -> TextRef { text.withUnsafeBytes { heap.store($0) } }

  @Test("a text that was stored stays where it is while others come")
  func stable() {
    let heap = TextHeap()
    let texts = (0..<2_000).map { [UInt8](repeating: UInt8(truncatingIfNeeded: $0), count: $0 % 97) }
    let stored = texts.map { store($0, in: heap) }
    for (text, reference) in zip(texts, stored) { #expect(reference.string == String(decoding: text, as: UTF8.self)) }
    #expect(heap.bytes == texts.reduce(0) { $0 + $1.count })
  }

  @Test("rewinding forgets the texts since, and uses their room again")
  func rewind() {
    let heap = TextHeap()
    _ = store(Array("kept".utf8), in: heap)
    let position = heap.position
    let first = store(Array("gone".utf8), in: heap)
    heap.rewind(to: position)
    #expect(heap.bytes == 4)
    #expect(store(Array("next".utf8), in: heap).start == first.start)
  }

  @Test("a reset keeps the memory of small texts")
  func small() {
    let heap = TextHeap()
    _ = store(Array("text".utf8), in: heap)
    let held = heap.heldBytes
    #expect(held > 0)
    heap.reset()
    #expect(heap.heldBytes == held)
    #expect(heap.bytes == 0)
  }

  @Test("a reset gives back what a large text took, whether it came first or later")
  func large() {
    let large = [UInt8](repeating: 120, count: (256 << 10) + 1)
    let heap = TextHeap()
    _ = store(large, in: heap)
    #expect(heap.heldBytes >= large.count)
    heap.reset()
    #expect(heap.heldBytes == 0)

    _ = store(Array("text".utf8), in: heap)
    let held = heap.heldBytes
    _ = store(large, in: heap)
    heap.reset()
    #expect(heap.heldBytes == held)
    #expect(store(Array("text".utf8), in: heap).string == "text")
  }

  @Test("many texts of one batch leave no more than one chunk")
  func many() {
    let heap = TextHeap()
    for _ in 0..<1_000 { _ = store([UInt8](repeating: 120, count: 1_000), in: heap) }
    #expect(heap.heldBytes >= 1_000_000)
    heap.reset()
    #expect(heap.heldBytes <= 256 << 10)
  }
}
