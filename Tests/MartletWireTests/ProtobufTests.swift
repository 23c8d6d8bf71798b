import CProtobufC
import CProtos
import MartletCore
import Testing

@testable import MartletWire

@Suite("Messages")
struct ProtobufTests {
  private func requestDescriptor() -> UnsafePointer<ProtobufCMessageDescriptor> {
    var message = Ttrpc__Request()
    ttrpc__request__init(&message)
    return message.base.descriptor
  }

  @Test("a failure frame is what protobuf-c reads back", arguments: [0, 1, 300, 5000])
  func failure(_ length: Int) throws {
    let text = String(repeating: "é", count: length)
    let bytes = TTRPCResponse.failure(stream: 77, Status(.notFound, text))
    let frame = try #require(bytes.withUnsafeBytes { TTRPCFrame($0) })
    #expect(frame.stream == 77)
    #expect(frame.kind == TTRPCFrame.Kind.response)
    #expect(Int(frame.dataBytes) == bytes.count - TTRPCFrame.headerBytes)
    let data = Array(bytes[TTRPCFrame.headerBytes...])
    let response = try #require(ttrpc__response__unpack(nil, data.count, data))
    defer { ttrpc__response__free_unpacked(response, nil) }
    #expect(response.pointee.status.pointee.code == StatusCode.notFound.rawValue)
    let read = String(cString: response.pointee.status.pointee.message)
    #expect(text.hasPrefix(read))
    #expect(read.count == min(length, 1024) || read == text)
  }

  @Test("a failure says when to try again", arguments: [1, 999_999_999, 1_000_000_000, 61_000_000_007] as [UInt64])
  func retryInfo(_ nanoseconds: UInt64) throws {
    let bytes = TTRPCResponse.failure(
      stream: 1, Status(.resourceExhausted, "full", retryNanoseconds: nanoseconds))
    let data = Array(bytes[TTRPCFrame.headerBytes...])
    #expect(bytes.withUnsafeBytes { TTRPCFrame($0) }.map { Int($0.dataBytes) } == data.count)
    let response = try #require(ttrpc__response__unpack(nil, data.count, data))
    defer { ttrpc__response__free_unpacked(response, nil) }
    let status = response.pointee.status.pointee
    #expect(status.n_details == 1)
    let detail = try #require(status.details[0]).pointee
    #expect(String(cString: detail.type_url) == "type.googleapis.com/google.rpc.RetryInfo")
    // RetryInfo {1 Duration {1 seconds, 2 nanos}}
    let value = UnsafeRawBufferPointer(start: detail.value.data, count: detail.value.len)
    var info = ProtoReader(value)
    #expect(info.tag()?.0 == 1)
    let inner = info.delimited()
    var delay = ProtoReader(try #require(inner))
    #expect(info.position == value.count)
    var read: UInt64 = 0
    while let (field, _) = delay.tag() {
      let number = delay.varint()
      let part = try #require(number)
      read += field == 1 ? part * 1_000_000_000 : part
    }
    #expect(read == nanoseconds)
  }

  @Test("an answer's head frames any payload", arguments: [0, 1, 127, 128, 70_000])
  func head(_ count: Int) throws {
    let payload = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
    let head = TTRPCResponse.headBytes(payloadBytes: count)
    var bytes = [UInt8](repeating: 0, count: head)
    bytes.withUnsafeMutableBytes { TTRPCResponse.writeHead(to: $0.baseAddress!, stream: 3, payloadBytes: count) }
    let data = Array(bytes[TTRPCFrame.headerBytes...]) + payload
    let frame = try #require(bytes.withUnsafeBytes { TTRPCFrame($0) })
    #expect(Int(frame.dataBytes) == data.count)
    let response = try #require(ttrpc__response__unpack(nil, data.count, data))
    defer { ttrpc__response__free_unpacked(response, nil) }
    #expect(response.pointee.status == nil)
    #expect(
      Array(UnsafeBufferPointer(start: response.pointee.payload.data, count: response.pointee.payload.len)) == payload)
  }

  @Test("strings with a NUL or broken UTF-8 are found and named")
  func guardNamesField() {
    var message = ProtoBuffer()
    message.string(1, "service")
    message.message(5) { $0.element(1, "ke\u{0}y") }
    message.bytes.withUnsafeBytes {
      #expect(MessageGuard.check($0, requestDescriptor()) == .invalidText(field: "metadata.key"))
    }
    let broken: [UInt8] = [0x0a, 2, 0xc3, 0x28]
    broken.withUnsafeBytes {
      #expect(MessageGuard.check($0, requestDescriptor()) == .invalidText(field: "service"))
    }
    let fine: [UInt8] = [0x0a, 2, 0xc3, 0xa9, 0x1a, 1, 0]
    fine.withUnsafeBytes { #expect(MessageGuard.check($0, requestDescriptor()) == .fine) }
  }

  @Test(
    "what protobuf-c reads on behind and the guard cannot is malformed, so that no text comes unchecked after it",
    arguments: [
      // timeout_nano of more than 64 bits, a field beyond the last number
      [0x20, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], [0x80, 0x80, 0x80, 0x80, 0x7f, 1],
    ] as [[UInt8]])
  func guardStopsWhereItCannotRead(_ start: [UInt8]) {
    let arena = MessageArena(capBytes: 64 << 10)
    let bytes = start + [0x0a, 1, 0xff]
    bytes.withUnsafeBytes {
      #expect(arena.unpack($0, ttrpc__request__unpack) != nil)
      #expect(MessageGuard.check($0, requestDescriptor()) == .malformed)
    }
  }

  @Test("the arena unpacks as malloc does, and says when its cap was the reason that it did not")
  func arena() throws {
    let arena = MessageArena(capBytes: 256 << 10)
    var small = ProtoBuffer()
    small.string(1, "svc")
    small.string(2, "method")
    for round in 0..<100 {
      arena.reset()
      let message = try #require(small.bytes.withUnsafeBytes { arena.unpack($0, ttrpc__request__unpack) })
      #expect(String(cString: message.pointee.method) == "method", "round \(round)")
    }
    // Empty sub-messages: two bytes each on the wire, some fifty times that in memory.
    let hostile = [[UInt8]](repeating: [0x2a, 0], count: 100_000).flatMap { $0 }
    arena.reset()
    let refused = hostile.withUnsafeBytes { arena.unpack($0, ttrpc__request__unpack) }
    #expect(refused == nil)
    #expect(arena.exhausted)
    arena.reset()
    #expect(!arena.exhausted)
    let malformed = [UInt8]([0x0a, 200]).withUnsafeBytes { arena.unpack($0, ttrpc__request__unpack) }
    #expect(malformed == nil)
    #expect(!arena.exhausted)
  }

  @Test("the arena keeps the memory of a large message for the next one, as long as one comes between two looks")
  func spare() throws {
    let arena = MessageArena(capBytes: 32 << 20)
    func unpack(_ bytes: Int) throws {
      var message = ProtoBuffer()
      message.string(1, "svc")
      message.data(3, (0..<bytes).map { UInt8(truncatingIfNeeded: $0) })
      arena.reset()
      let request = try #require(message.bytes.withUnsafeBytes { arena.unpack($0, ttrpc__request__unpack) })
      let payload = UnsafeBufferPointer(start: request.pointee.payload.data, count: request.pointee.payload.len)
      #expect(payload.count == bytes && payload.indices.allSatisfy { payload[$0] == UInt8(truncatingIfNeeded: $0) })
      arena.reset()
    }
    try unpack(1_000)
    #expect(!arena.keepsSpare)
    for bytes in [300_000, 200_000, 500_000, 1_000, 400_000] {
      try unpack(bytes)
      #expect(arena.keepsSpare)
      arena.dropUnneeded()
      #expect(arena.keepsSpare == (bytes != 1_000))
    }
    arena.dropUnneeded()
    #expect(!arena.keepsSpare)
    try unpack(10 << 20)
    #expect(!arena.keepsSpare)
  }

  @Test("a chunk that is kept does not let messages beyond the cap in")
  func spareUnderCap() throws {
    let arena = MessageArena(capBytes: 200 << 10)
    func unpack(payloads bytes: [Int]) -> Bool {
      // protobuf-c allocates each payload, and forgets all but the last.
      var message = ProtoBuffer()
      for count in bytes { message.data(3, [UInt8](repeating: 7, count: count)) }
      arena.reset()
      return message.bytes.withUnsafeBytes { arena.unpack($0, ttrpc__request__unpack) } != nil
    }
    #expect(unpack(payloads: [130 << 10]))
    #expect(unpack(payloads: [130 << 10]))
    #expect(!unpack(payloads: [60 << 10, 60 << 10, 60 << 10, 60 << 10]))
    #expect(arena.exhausted)
    #expect(unpack(payloads: [130 << 10]))
  }

  @Test("sizes are what the writer writes", arguments: [0, 1, 127, 128, 16_383, 16_384, UInt64.max / 2, .max])
  func sizes(_ value: UInt64) {
    var bytes = [UInt8](repeating: 0, count: 32)
    let size = ProtoSize.varintField(16, value)
    bytes.withUnsafeMutableBytes { buffer in
      var writer = ProtoWriter(buffer.baseAddress!, bytes: size)
      writer.varintField(16, value)
      #expect(writer.isFull)
    }
    bytes.withUnsafeBytes { buffer in
      var reader = ProtoReader(UnsafeRawBufferPointer(rebasing: buffer[..<size]))
      guard size > 0 else { return #expect(value == 0) }
      #expect(reader.tag()?.number == 16)
      #expect(reader.varint() == value)
      #expect(reader.tag() == nil)
      #expect(!reader.malformed)
    }
  }

  @Test(
    "a reader refuses what is malformed",
    arguments: [
      [0x0a, 5, 1], [0x08], [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], [0x00, 1], [0x0b],
      [0x09, 1],
      [0x0d, 1, 2], [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
    ] as [[UInt8]])
  func malformed(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { buffer in
      var reader = ProtoReader(buffer)
      while let (_, wire) = reader.tag() { if !reader.skip(wire) { break } }
      #expect(reader.malformed)
    }
  }
}
