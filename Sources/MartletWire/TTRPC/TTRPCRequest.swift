/// The envelope of a unary call, read where it lies: the fast path beside protobuf-c's `Ttrpc__Request`.
///
/// Nothing is copied; the buffers point into the bytes that were given and are valid as long as those.
public struct TTRPCRequest {
  public private(set) var service = UnsafeRawBufferPointer(start: nil, count: 0)
  public private(set) var method = UnsafeRawBufferPointer(start: nil, count: 0)
  public private(set) var payload = UnsafeRawBufferPointer(start: nil, count: 0)
  /// 0 when the caller waits for ever.
  public private(set) var timeoutNanoseconds: Int64 = 0

  /// Nil for everything that is not plain, malformed bytes among them: metadata, fields that come twice or that the
  /// message does not have. Those are protobuf-c's to judge. Whether the names are text is not checked.
  @inline(__always)
  public init?(plain bytes: UnsafeRawBufferPointer) {
    var reader = ProtoReader(bytes)
    var seen: UInt32 = 0
    while let (number, wire) = reader.tag() {
      let bit = UInt32(1) << (number & 31)
      guard number <= 4, seen & bit == 0 else { return nil }
      seen |= bit
      if number == 4 {
        guard wire == .varint, let value = reader.varint() else { return nil }
        timeoutNanoseconds = Int64(bitPattern: value)
        continue
      }
      guard wire == .lengthDelimited, let value = reader.delimited() else { return nil }
      switch number {
      case 1: service = value
      case 2: method = value
      default: payload = value
      }
    }
    if reader.malformed { return nil }
  }
}
