/// The envelope of a unary call, read where it lies: the fast path beside protobuf-c's `Ttrpc__Request`.
///
/// Nothing is copied; the buffers point into the bytes that were given and are valid as long as those.
@frozen
public struct TTRPCRequest {
  public var service = UnsafeRawBufferPointer(start: nil, count: 0)
  public var method = UnsafeRawBufferPointer(start: nil, count: 0)
  public var payload = UnsafeRawBufferPointer(start: nil, count: 0)
  /// 0 when the caller waits for ever.
  public var timeoutNanoseconds: Int64 = 0

  /// Nil for everything that is not plain, malformed bytes among them: metadata, fields that come twice or that the
  /// message does not have. Those are protobuf-c's to judge. Whether the names are text is not checked.
  @inlinable @inline(__always)
  public init?(plain bytes: UnsafeRawBufferPointer) { self.init(bytes, seen: 0) }

  /// The same of an envelope whose service and method, its first two fields, are known to end before `bytes`.
  @inlinable @inline(__always)
  public init?(plainBehindNames bytes: UnsafeRawBufferPointer) { self.init(bytes, seen: 1 << 1 | 1 << 2) }

  /// The payload of an envelope that has nothing else behind its names, as most have; nil for all that is to be read.
  @inlinable @inline(__always)
  public static func onlyPayload(behindNames bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
    guard bytes.count >= 3, bytes[0] == 3 << 3 | 2 else { return nil }
    var count = Int(bytes[1])
    var head = 2
    if count >= 0x80 {
      guard bytes[2] < 0x80 else { return nil }
      count = count & 0x7f | Int(bytes[2]) << 7
      head = 3
    }
    guard count == bytes.count - head else { return nil }
    return UnsafeRawBufferPointer(start: bytes.baseAddress.unsafelyUnwrapped + head, count: count)
  }

  /// - Parameter seen: a bit for each field that has come already.
  @inlinable @inline(__always)
  init?(_ bytes: UnsafeRawBufferPointer, seen before: UInt32) {
    var reader = ProtoReader(bytes)
    var seen = before
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
