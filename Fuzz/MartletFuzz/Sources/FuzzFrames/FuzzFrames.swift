import FuzzKit

/// libFuzzer's way in: the frame state machine and the sniffer.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> Int32 { FuzzedFrames.run(data, count) }
