import FuzzKit

/// libFuzzer's way in: streams to a whole server over a socket.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> Int32 { FuzzedServer.run(data, count) }
