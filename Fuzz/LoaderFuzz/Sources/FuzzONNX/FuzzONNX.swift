import LoaderFuzz

/// ONNX: what no other loader knows by its beginning.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  FuzzedLoad.run(data, count) { $0.first != UInt8(ascii: "{") && !$0.starts(with: "tree\n".utf8) }
}
