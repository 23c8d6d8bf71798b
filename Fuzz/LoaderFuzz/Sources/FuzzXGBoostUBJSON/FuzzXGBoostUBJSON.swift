import LoaderFuzz

/// XGBoost in UBJSON: a brace and then the kind of a length.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  FuzzedLoad.run(data, count) { $0.count > 1 && $0[0] == UInt8(ascii: "{") && "LlIUi$#".utf8.contains($0[1]) }
}
