import MartletCore

/// The rules of ttrpc as a server sees them: bytes in, one event out at a time; no I/O.
///
/// The owner calls `next` with everything unread and drops `consumed` bytes after each event, until `needMore`.
@frozen
public struct TTRPCServerConnection: Sendable {
  public enum Event: Equatable, Sendable {
    /// Nothing more can be said until the connection has at least this many unread bytes.
    case needMore(bytes: Int)
    /// A unary request; its envelope lies in the `dataBytes` bytes before the end of what was consumed.
    case request(stream: UInt32, dataBytes: Int)
    /// The peer broke a rule in a way that ends one call: it is answered with this status.
    case refused(stream: UInt32, Status)
    /// Bytes without meaning for a server, or the rest of a frame that was refused; go on.
    case skipped
    /// The peer does not speak ttrpc: the connection ends.
    case broken(String)
  }

  @usableFromInline let maximumDataBytes: Int
  /// Bytes of a refused frame that are still to come.
  @usableFromInline var discarding = 0
  @usableFromInline var lastStream: UInt32 = 0

  /// - Parameter maximumDataBytes: the longest data of a frame that is read, at most the protocol's own 4 MiB.
  public init(maximumDataBytes: Int = TTRPCFrame.maximumDataBytes) {
    self.maximumDataBytes = min(maximumDataBytes, TTRPCFrame.maximumDataBytes)
  }

  /// The request that the bytes begin with, when it is whole and has nothing to be refused or passed over; nil for
  /// everything else, which stays for `next` to judge. Its envelope lies behind the frame's header.
  @inlinable @inline(__always)
  public mutating func nextRequest(_ bytes: UnsafeRawBufferPointer) -> (stream: UInt32, dataBytes: Int)? {
    guard discarding == 0, let frame = TTRPCFrame(bytes), frame.kind == TTRPCFrame.Kind.request,
      frame.flags & ~TTRPCFrame.Flags.remoteClosed == 0, frame.stream & 1 == 1, frame.stream > lastStream
    else { return nil }
    let dataBytes = Int(frame.dataBytes)
    guard dataBytes <= maximumDataBytes, bytes.count - TTRPCFrame.headerBytes >= dataBytes else { return nil }
    lastStream = frame.stream
    return (frame.stream, dataBytes)
  }

  public mutating func next(_ bytes: UnsafeRawBufferPointer) -> (event: Event, consumed: Int) {
    if discarding > 0 {
      let now = min(discarding, bytes.count)
      discarding -= now
      return now == 0 ? (.needMore(bytes: 1), 0) : (.skipped, now)
    }
    guard let frame = TTRPCFrame(bytes) else { return (.needMore(bytes: TTRPCFrame.headerBytes), 0) }
    // The longest length is 4 MiB, so the first byte is 0 in every frame; anything else is another protocol.
    guard frame.dataBytes >> 24 == 0 else {
      return (.broken("a frame of \(frame.dataBytes) bytes; the first byte of a ttrpc frame is 0"), 0)
    }
    let dataBytes = Int(frame.dataBytes)
    guard dataBytes <= maximumDataBytes else {
      discarding = dataBytes
      _ = accept(frame.stream)
      let message = "a frame of \(dataBytes) bytes; at most \(maximumDataBytes) are read"
      return (.refused(stream: frame.stream, Status(.resourceExhausted, message)), TTRPCFrame.headerBytes)
    }
    let whole = TTRPCFrame.headerBytes + dataBytes
    guard bytes.count >= whole else { return (.needMore(bytes: whole), 0) }
    return (judge(frame, dataBytes), whole)
  }

  private mutating func judge(_ frame: TTRPCFrame, _ dataBytes: Int) -> Event {
    func refuse(_ code: StatusCode, _ message: String) -> Event {
      .refused(stream: frame.stream, Status(code, message))
    }
    guard frame.stream % 2 == 1 else {
      return refuse(.invalidArgument, "stream \(frame.stream): a client's streams have odd numbers")
    }
    switch frame.kind {
    case TTRPCFrame.Kind.request:
      guard accept(frame.stream) else {
        return refuse(.invalidArgument, "stream \(frame.stream): stream numbers rise, the last was \(lastStream)")
      }
      if frame.flags & TTRPCFrame.Flags.remoteOpen != 0 {
        return refuse(.unimplemented, "flags \(frame.flags): streaming calls are not served over ttrpc")
      }
      guard frame.flags & ~TTRPCFrame.Flags.remoteClosed == 0 else {
        return refuse(.invalidArgument, "flags \(frame.flags): a request has 0 (unary), 1 or 2")
      }
      return .request(stream: frame.stream, dataBytes: dataBytes)
    case TTRPCFrame.Kind.data:
      // Data for a call that has been answered may have crossed the answer on its way.
      if frame.stream <= lastStream { return .skipped }
      return refuse(.invalidArgument, "stream \(frame.stream): data before its request")
    default:
      return .skipped
    }
  }

  private mutating func accept(_ stream: UInt32) -> Bool {
    guard stream > lastStream else { return false }
    lastStream = stream
    return true
  }
}
