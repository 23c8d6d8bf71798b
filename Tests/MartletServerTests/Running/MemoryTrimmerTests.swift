import Glibc
import Testing

@testable import MartletServer

@Suite("Free memory")
struct MemoryTrimmerTests {
  private static func residentBytes() -> Int {
    guard let file = fopen("/proc/self/statm", "r") else { return 0 }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 128)
    guard fgets(&line, Int32(line.count), file) != nil else { return 0 }
    let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return (Int(text.split(separator: " ")[1]) ?? 0) * Int(getpagesize())
  }

  /// Sanitizers bring a malloc of their own, which keeps what is freed.
  private static let isMallocTheSystems =
    dlsym(dlopen(nil, RTLD_NOW), "__asan_init") == nil && dlsym(dlopen(nil, RTLD_NOW), "__tsan_init") == nil

  @Test("what was freed between pieces that are held goes back to the system", .enabled(if: isMallocTheSystems))
  func trimming() {
    // Each piece is followed by one that stays, so that malloc alone could not give any back.
    let count = 1000
    let pieces = (0..<count).map { _ in
      let piece = UnsafeMutableRawPointer.allocate(byteCount: 64 << 10, alignment: 16)
      memset(piece, 1, 64 << 10)
      return (piece, UnsafeMutableRawPointer.allocate(byteCount: 2 << 10, alignment: 16))
    }
    let full = Self.residentBytes()
    for piece in pieces { piece.0.deallocate() }
    let trimmer = MemoryTrimmer(scoringThreads: 2, every: .milliseconds(20))
    for _ in 0..<1000 where Self.residentBytes() > full - 40 << 20 { usleep(10_000) }
    #expect(Self.residentBytes() < full - 40 << 20)
    withExtendedLifetime(trimmer) {}
    for piece in pieces { piece.1.deallocate() }
  }
}
