import MartletCore

/// Writes response frames: header, `ttrpc.Response` envelope, payload.
public enum TTRPCResponse {
  /// Bytes in front of a payload of `payloadBytes`: the frame's header and the envelope's field head.
  @inlinable @inline(__always)
  public static func headBytes(payloadBytes: Int) -> Int {
    TTRPCFrame.headerBytes + (payloadBytes == 0 ? 0 : 1 + ProtoSize.varint(UInt64(payloadBytes)))
  }

  /// Writes the head of an answer; the payload's bytes follow it. `target` has room for `headBytes`.
  @inlinable @inline(__always)
  public static func writeHead(to target: UnsafeMutableRawPointer, stream: UInt32, payloadBytes: Int) {
    let head = headBytes(payloadBytes: payloadBytes)
    let data = head - TTRPCFrame.headerBytes + payloadBytes
    TTRPCFrame(dataBytes: UInt32(data), stream: stream, kind: TTRPCFrame.Kind.response).write(to: target)
    guard payloadBytes > 0 else { return }
    var writer = ProtoWriter(target + TTRPCFrame.headerBytes, bytes: head - TTRPCFrame.headerBytes)
    writer.head(2, payloadBytes)
  }

  /// What names the message in `Status.details` that says when to try again.
  ///
  /// Source: googleapis, `google/rpc/error_details.proto`: RetryInfo {1 Duration retry_delay {1 seconds, 2 nanos}}.
  public static let retryInfoType: StaticString = "type.googleapis.com/google.rpc.RetryInfo"

  private struct RetryInfo {
    let seconds: UInt64
    let nanoseconds: UInt64
    let delayBytes: Int
    /// Bytes of the entry of `details`, without its head; 0 when there is none.
    let anyBytes: Int

    init(_ nanoseconds: UInt64) {
      seconds = nanoseconds / 1_000_000_000
      self.nanoseconds = nanoseconds % 1_000_000_000
      delayBytes = ProtoSize.varintField(1, seconds) + ProtoSize.varintField(2, self.nanoseconds)
      anyBytes =
        nanoseconds == 0
        ? 0
        : ProtoSize.always(1, TTRPCResponse.retryInfoType.utf8CodeUnitCount)
          + ProtoSize.always(2, ProtoSize.always(1, delayBytes))
    }

    func write(_ writer: inout ProtoWriter) {
      guard anyBytes > 0 else { return }
      let type = TTRPCResponse.retryInfoType
      writer.head(3, anyBytes)
      writer.delimited(1, UnsafeRawBufferPointer(start: type.utf8Start, count: type.utf8CodeUnitCount))
      writer.head(2, ProtoSize.always(1, delayBytes))
      writer.head(1, delayBytes)
      writer.varintField(1, seconds)
      writer.varintField(2, nanoseconds)
    }
  }

  /// A whole frame that ends a call with a status.
  public static func failure(stream: UInt32, _ status: Status) -> [UInt8] {
    let retry = RetryInfo(status.retryNanoseconds)
    // A message for people; cut, so that a name that came in cannot make an answer of any length.
    var message = status.message.utf8.count <= 4096 ? status.message : String(status.message.prefix(1024))
    return message.withUTF8 { text in
      let text = UnsafeRawBufferPointer(text)
      let code = UInt64(UInt32(bitPattern: status.code.rawValue))
      let inner =
        ProtoSize.varintField(1, code) + ProtoSize.delimited(2, text.count)
        + (retry.anyBytes > 0 ? ProtoSize.always(3, retry.anyBytes) : 0)
      let data = ProtoSize.always(1, inner)
      return [UInt8](unsafeUninitializedCapacity: TTRPCFrame.headerBytes + data) { buffer, count in
        let start = UnsafeMutableRawPointer(buffer.baseAddress!)
        TTRPCFrame(dataBytes: UInt32(data), stream: stream, kind: TTRPCFrame.Kind.response).write(to: start)
        var writer = ProtoWriter(start + TTRPCFrame.headerBytes, bytes: data)
        writer.head(1, inner)
        writer.varintField(1, code)
        writer.delimited(2, text)
        retry.write(&writer)
        count = TTRPCFrame.headerBytes + data
      }
    }
  }
}
