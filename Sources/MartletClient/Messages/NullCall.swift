/// Asks for `responseBytes` bytes back (martlet.v1.Scoring/Null): what a call costs when nothing is scored.
public struct NullRequest: Sendable, Equatable, OutgoingMessage {
  public var payload: [UInt8]
  public var responseBytes: Int

  public init(payload: [UInt8], responseBytes: Int) {
    self.payload = payload
    self.responseBytes = responseBytes
  }

  public func write(into writer: inout ProtobufWriter) {
    writer.bytes(1, payload)
    writer.unsigned(2, UInt64(max(0, responseBytes)))
  }
}

/// The bytes that were asked for.
public struct NullResponse: Sendable, Equatable, IncomingMessage {
  public var payload: [UInt8] = []

  public init(reading reader: inout ProtobufReader) throws(MessageError) {
    while try reader.next() {
      switch reader.field {
      case 1: payload = try reader.byteArray()
      default: try reader.skip()
      }
    }
  }
}
