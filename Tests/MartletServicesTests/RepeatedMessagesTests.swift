import MartletCore
import Testing

@testable import MartletServices

@Suite("Messages that come again")
struct RepeatedMessagesTests {
  private typealias Messages = RepeatedMessages<Int>

  private func remember(_ messages: Messages, _ bytes: [UInt8], _ values: [Range<Int>], _ meaning: Int) {
    let places = values.map { Messages.Values(offset: $0.lowerBound, count: $0.count, target: 0, stride: 1) }
    bytes.withUnsafeBytes { bytes in places.withUnsafeBufferPointer { messages.remember(bytes, $0, meaning) } }
  }

  private func find(_ messages: Messages, _ bytes: [UInt8]) -> Int? {
    bytes.withUnsafeBytes { messages.find($0)?.pointee.meaning }
  }

  @Test("a byte outside of the values makes it another message, one of a value does not")
  func everyByte() {
    // Gaps of every length up to two words, at the ends and between.
    for first in 0..<20 {
      for gap in 0..<18 {
        for last in 0..<18 {
          let values = [first..<(first + 4), (first + 4 + gap)..<(first + 12 + gap)]
          let bytes = (0..<(first + 12 + gap + last)).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 11) }
          let messages = Messages()
          remember(messages, bytes, values, 5)
          guard find(messages, bytes) == 5 else { return #expect(Bool(false), "\(first) \(gap) \(last)") }
          for place in bytes.indices {
            var other = bytes
            other[place] ^= 0x40
            let isValue = values.contains { $0.contains(place) }
            // The first bytes choose the slot, so a value there may hide the message but never change its meaning.
            let found = find(messages, other)
            guard isValue && place >= 8 ? found == 5 : isValue ? found == 5 || found == nil : found == nil else {
              return #expect(Bool(false), "\(first) \(gap) \(last): byte \(place)")
            }
          }
          #expect(find(messages, bytes + [0]) == nil)
          #expect(find(messages, Array(bytes.dropLast())) == nil)
        }
      }
    }
  }

  @Test("many messages take one another's place, and none is taken for another")
  func many() {
    let messages = Messages()
    func message(_ number: Int) -> [UInt8] {
      withUnsafeBytes(of: number) { Array($0) }
        + Array(repeating: UInt8(truncatingIfNeeded: number), count: number % 40)
    }
    for round in 0..<3 {
      for number in 0..<2_000 {
        let bytes = message(number)
        if let known = find(messages, bytes) { #expect(known == number) }
        remember(messages, bytes, [], number)
        #expect(find(messages, bytes) == number)
      }
      let kept = (0..<2_000).filter { find(messages, message($0)) != nil }
      #expect(kept.count <= 16, "round \(round)")
    }
    messages.forget()
    #expect((0..<2_000).allSatisfy { find(messages, message($0)) == nil })
  }

  @Test("what is too long is not kept")
  func long() {
    let messages = Messages()
    let bytes = [UInt8](repeating: 1, count: 20_000)
    remember(messages, bytes, [100..<200], 1)
    #expect(find(messages, bytes) == nil)
    remember(messages, [1, 2, 3], [], 1)
    #expect(find(messages, [1, 2, 3]) == nil)
    #expect(find(messages, []) == nil)
  }
}
