import Testing

@testable import MartletServer

@Suite("Messages of the hand-over")
struct HandoverMessageTests {
  private static let all: [HandoverMessage] = [
    .hello(process: 4711), .hello(process: .max), .offer(process: 1, supervised: []),
    .offer(process: 4711, supervised: [true, false, true]), .ready, .released, .refused("it is ending"), .refused(""),
  ]

  @Test("each reads back as it was written", arguments: all)
  func roundTrip(_ message: HandoverMessage) throws {
    #expect(try HandoverMessage(message.encoded()) == message)
  }

  @Test("the first bytes are those that other releases know")
  func layout() {
    #expect(HandoverMessage.hello(process: 0x0102_0304).encoded() == Array("MTKO".utf8) + [1, 1, 1, 2, 3, 4])
    #expect(
      HandoverMessage.offer(process: 1, supervised: [true, false]).encoded()
        == Array("MTKO".utf8) + [1, 2, 0, 0, 0, 1, 1, 0])
  }

  @Test("what is cut off, too long, of another version or of something else is told apart", arguments: all)
  func damage(_ message: HandoverMessage) {
    let bytes = message.encoded()
    for count in 0..<6 {
      #expect(throws: HandoverMessage.Failure.foreign) { try HandoverMessage(Array(bytes.prefix(count))) }
    }
    var other = bytes
    other[0] = 0
    #expect(throws: HandoverMessage.Failure.foreign) { try HandoverMessage(other) }
    other = bytes
    other[4] = 9
    #expect(throws: HandoverMessage.Failure.version(9)) { try HandoverMessage(other) }
    other = bytes
    other[5] = 99
    #expect(throws: HandoverMessage.Failure.malformed) { try HandoverMessage(other) }
  }

  @Test("bodies that do not fit their kind are malformed")
  func bodies() {
    let head = Array("MTKO".utf8) + [1]
    for bytes in [[1, 0, 0, 0], [1, 0, 0, 0, 1, 0], [2, 0], [2, 0, 0, 0, 1, 2], [3, 0], [4, 0]] as [[UInt8]] {
      #expect(throws: HandoverMessage.Failure.malformed) { try HandoverMessage(head + bytes) }
    }
    #expect(throws: HandoverMessage.Failure.malformed) {
      try HandoverMessage(head + [5] + [UInt8](repeating: 65, count: HandoverMessage.maximumTextBytes + 1))
    }
    let long = HandoverMessage.refused(String(repeating: "x", count: 5000)).encoded()
    #expect(long.count <= 4096)
  }
}
