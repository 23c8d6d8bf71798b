import Testing

@testable import MartletClient

@Suite struct StreamTableTests {
  @Test("any mix of insertions and removals leaves what a dictionary would hold")
  func model() {
    var random = SplitMix(state: 11)
    var table = StreamTable(capacity: 8)
    var expected: [UInt32: UInt64] = [:]
    var next: UInt32 = 1
    for _ in 0..<4_000 {
      if Int.random(in: 0..<100, using: &random) < 52 || expected.isEmpty {
        // Streams rise, with gaps as a long-lived connection has them.
        next += 2 * UInt32.random(in: 1...40, using: &random)
        table.insert(stream: next, call: UInt64(next) * 3)
        expected[next] = UInt64(next) * 3
      } else {
        let stream = expected.keys.sorted()[Int.random(in: 0..<min(50, expected.count), using: &random)]
        let removed = [table.remove(stream: stream), table.remove(stream: stream)]
        #expect(removed == [expected.removeValue(forKey: stream), nil])
      }
      if expected.count > 300 {
        for stream in expected.keys.sorted().dropLast(20) {
          let removed = table.remove(stream: stream)
          #expect(removed == expected.removeValue(forKey: stream))
        }
      }
      #expect(table.count == expected.count)
    }
    let all = table.removeAll()
    #expect(all == expected.sorted { $0.key < $1.key }.map(\.value))
    #expect(table.count == 0)
    let none = table.remove(stream: 1)
    #expect(none == nil)
  }
}
