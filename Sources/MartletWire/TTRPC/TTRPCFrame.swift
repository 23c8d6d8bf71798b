/// The header in front of every ttrpc message: 10 bytes, big-endian.
///
/// Source: containerd/ttrpc, `PROTOCOL.md`, "Message Frame".
@frozen
public struct TTRPCFrame: Equatable, Sendable {
  public static let headerBytes = 10
  /// The longest data that the protocol allows: 4 MiB.
  public static let maximumDataBytes = 4 << 20

  public enum Kind {
    public static let request: UInt8 = 1
    public static let response: UInt8 = 2
    public static let data: UInt8 = 3
  }

  public enum Flags {
    /// The sender will send no more on this stream.
    public static let remoteClosed: UInt8 = 1
    /// The sender will send data on this stream.
    public static let remoteOpen: UInt8 = 2
    public static let noData: UInt8 = 4
  }

  public var dataBytes: UInt32
  public var stream: UInt32
  public var kind: UInt8
  public var flags: UInt8

  @inlinable
  public init(dataBytes: UInt32, stream: UInt32, kind: UInt8, flags: UInt8 = 0) {
    self.dataBytes = dataBytes
    self.stream = stream
    self.kind = kind
    self.flags = flags
  }

  /// Reads the header at the start of `bytes`; nil when there are fewer than `headerBytes`.
  @inlinable
  public init?(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count >= Self.headerBytes else { return nil }
    dataBytes = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt32.self))
    stream = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
    kind = bytes[8]
    flags = bytes[9]
  }

  /// Changes the stream of a frame that is written already.
  @inlinable @inline(__always)
  public static func write(stream: UInt32, toFrameAt target: UnsafeMutableRawPointer) {
    target.storeBytes(of: stream.bigEndian, toByteOffset: 4, as: UInt32.self)
  }

  /// Writes the header to the first `headerBytes` bytes at `target`.
  @inlinable
  public func write(to target: UnsafeMutableRawPointer) {
    target.storeBytes(of: dataBytes.bigEndian, toByteOffset: 0, as: UInt32.self)
    target.storeBytes(of: stream.bigEndian, toByteOffset: 4, as: UInt32.self)
    target.storeBytes(of: kind, toByteOffset: 8, as: UInt8.self)
    target.storeBytes(of: flags, toByteOffset: 9, as: UInt8.self)
  }
}
