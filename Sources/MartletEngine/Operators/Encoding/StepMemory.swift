/// Constant arrays of an operator in memory that kernels address, freed with the operator.
///
/// `@unchecked Sendable`: filled while the operator is made, by one thread, and only read from then on.
final class StepMemory: @unchecked Sendable {
  private var blocks: [UnsafeMutableRawPointer] = []

  deinit {
    for block in blocks { block.deallocate() }
  }

  /// A copy of `elements`, which are plain bits, that lives as long as this object.
  func keep<T>(_ elements: [T]) -> UnsafePointer<T> {
    assert(_isPOD(T.self))
    let block = UnsafeMutableRawPointer.allocate(
      byteCount: max(16, elements.count * MemoryLayout<T>.stride), alignment: 64)
    blocks.append(block)
    let start = block.bindMemory(to: T.self, capacity: elements.count)
    for (index, element) in elements.enumerated() { (start + index).initialize(to: element) }
    return UnsafePointer(start)
  }
}
