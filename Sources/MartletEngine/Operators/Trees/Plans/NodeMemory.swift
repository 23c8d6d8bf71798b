#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Tables of a plan, aligned to lines of the cache. Large ones lie in huge pages where the system has them: a walk is in
/// so many places at once that the processor's list of small pages does not hold them.
final class NodeMemory {
  private var tables: [UnsafeMutableRawPointer] = []
  private(set) var bytes = 0

  private static let hugePage = 2 << 20

  deinit { for table in tables { table.deallocate() } }

  /// Zeroed memory for `count` elements, until the object goes.
  func reserve<T: BitwiseCopyable>(_ count: Int, of type: T.Type = T.self) -> UnsafeMutablePointer<T> {
    let size = max(64, (count * MemoryLayout<T>.stride + 63) & ~63)
    let isLarge = size >= 2 * Self.hugePage
    let table = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: isLarge ? Self.hugePage : 64)
    #if os(Linux)
      // The rest behind the last whole page is an ordinary one, so no more memory is taken than is used.
      if isLarge { madvise(table, size / Self.hugePage * Self.hugePage, Int32(MADV_HUGEPAGE)) }
    #endif
    memset(table, 0, size)
    tables.append(table)
    bytes += size
    return table.bindMemory(to: T.self, capacity: count)
  }

  /// A copy of `elements`, until the object goes.
  func store<T: BitwiseCopyable>(_ elements: [T]) -> UnsafePointer<T> {
    let place = reserve(elements.count, of: T.self)
    place.update(from: elements, count: elements.count)
    return UnsafePointer(place)
  }
}
