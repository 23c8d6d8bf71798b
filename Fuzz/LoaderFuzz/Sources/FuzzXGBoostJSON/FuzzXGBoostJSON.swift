import LoaderFuzz

/// XGBoost in JSON: a brace and then a quote or space.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  FuzzedLoad.run(data, count) {
    $0.starts(with: "{\"".utf8) || $0.starts(with: "{ ".utf8) || $0.starts(with: "{\n".utf8)
  }
}
