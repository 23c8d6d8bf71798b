import FuzzKit

/// libFuzzer's way in: envelopes, message guards, and the fast readers of calls.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> Int32 { FuzzedMessages.run(data, count) }
