import MartletCore
import MartletWire

/// A request ready to be sent, any number of times: frame header, `ttrpc.Request` envelope and payload.
public struct CallFrame: Sendable {
  /// The whole frame, with 0 for the stream's number.
  let bytes: [UInt8]

  /// Most bytes of a payload: what the protocol's 4 MiB leave beside the envelope's other fields.
  public static let maximumPayloadBytes = TTRPCFrame.maximumDataBytes - 4096

  /// Encodes a call once.
  ///
  /// - Parameter timeout: what the server is told that the caller is ready to wait; nil: no limit.
  /// - Throws: `resourceExhausted` when the frame would be longer than 4 MiB.
  public init(method: RPCMethod, payload: [UInt8], timeout: Duration? = nil) throws(Status) {
    var writer = ProtobufWriter(reservingBytes: payload.count + 128)
    writer.string(1, method.service)
    writer.string(2, method.name)
    writer.bytes(3, payload)
    if let timeout {
      // 0 would mean no limit, so the shortest timeout is 1 ns.
      writer.signed(4, Int64(clamping: max(1, timeout.wholeNanoseconds)))
    }
    let data = writer.bytes
    guard data.count <= TTRPCFrame.maximumDataBytes else {
      throw Status(
        .resourceExhausted,
        "a request of \(data.count) bytes; at most \(TTRPCFrame.maximumDataBytes) fit into a ttrpc frame")
    }
    bytes = [UInt8](unsafeUninitializedCapacity: TTRPCFrame.headerBytes + data.count) { buffer, count in
      let start = UnsafeMutableRawPointer(buffer.baseAddress!)
      TTRPCFrame(dataBytes: UInt32(data.count), stream: 0, kind: TTRPCFrame.Kind.request).write(to: start)
      data.withUnsafeBytes { (start + TTRPCFrame.headerBytes).copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
      count = TTRPCFrame.headerBytes + data.count
    }
  }

  /// Bytes that sending it puts on the wire.
  public var byteCount: Int { bytes.count }

  /// Writes the frame with its stream's number to `target`, which has room for `byteCount`.
  func write(stream: UInt32, to target: UnsafeMutableRawPointer) {
    bytes.withUnsafeBytes { target.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
    target.storeBytes(of: stream.bigEndian, toByteOffset: 4, as: UInt32.self)
  }
}
