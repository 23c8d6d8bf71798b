import CMalloc
import Glibc

/// What the process holds in memory.
enum ResidentMemory {
  /// Bytes that are resident; of this process unless `pid` is given, and then without what malloc keeps for later.
  static func bytes(pid: Int32? = nil) -> Int {
    if pid == nil { malloc_trim(0) }
    let path = "/proc/" + (pid.map(String.init) ?? "self") + "/statm"
    guard let file = fopen(path, "r") else { return 0 }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    guard fgets(&line, Int32(line.count), file) != nil else { return 0 }
    let words = line.prefix { $0 != 0 }.split(separator: 0x20).map { $0.map { UInt8(bitPattern: $0) } }
    guard words.count > 1, let pages = Int(String(decoding: words[1], as: UTF8.self)) else { return 0 }
    return pages * Int(getpagesize())
  }
}
