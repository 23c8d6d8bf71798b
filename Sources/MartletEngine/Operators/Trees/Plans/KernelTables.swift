#if canImport(Glibc)
  import Glibc
#endif

/// Tables of a plan for kernels: aligned to 64 bytes, written once, freed with the plan.
final class KernelTables {
  private var tables: [UnsafeMutableRawPointer] = []
  private(set) var bytes = 0

  deinit { for table in tables { table.deallocate() } }

  /// A copy of `elements` that stays where it is as long as this object lives, with at least `padding` bytes of zeros
  /// behind it, which kernels may read.
  func store<T: BitwiseCopyable>(_ elements: [T], padding: Int = 64) -> UnsafePointer<T> {
    let size = elements.count * MemoryLayout<T>.stride
    let table = UnsafeMutableRawPointer.allocate(byteCount: size + padding, alignment: 64)
    (table + size).initializeMemory(as: UInt8.self, repeating: 0, count: padding)
    tables.append(table)
    bytes += size + padding
    elements.withUnsafeBytes { if let base = $0.baseAddress { table.copyMemory(from: base, byteCount: size) } }
    return UnsafePointer(table.bindMemory(to: T.self, capacity: elements.count))
  }
}
