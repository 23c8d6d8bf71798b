import LoaderFuzz

/// LightGBM: text that begins with its first line.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  FuzzedLoad.run(data, count) { $0.starts(with: "tree\n".utf8) }
}
