import MartletCore
import MartletWire
import Testing

@testable import MartletClient

@Suite struct TTRPCClientConnectionTests {
  /// A response frame, as a server writes it.
  static func response(stream: UInt32, code: Int32 = 0, message: String = "", payload: [UInt8] = []) -> [UInt8] {
    var writer = ProtobufWriter()
    if code != 0 {
      writer.message(1) {
        $0.signed(1, Int64(code))
        $0.string(2, message)
      }
    }
    writer.bytes(2, payload)
    return frame(stream: stream, kind: TTRPCFrame.Kind.response, data: writer.bytes)
  }

  static func frame(stream: UInt32, kind: UInt8, data: [UInt8]) -> [UInt8] {
    var header = [UInt8](repeating: 0, count: TTRPCFrame.headerBytes)
    header.withUnsafeMutableBytes {
      TTRPCFrame(dataBytes: UInt32(data.count), stream: stream, kind: kind).write(to: $0.baseAddress!)
    }
    return header + data
  }

  @Test("what a server says about trying again is read", arguments: [0, 5_000_000, 3_000_000_001] as [UInt64])
  func retryInfo(_ nanoseconds: UInt64) {
    var connection = TTRPCClientConnection()
    let stream = connection.open(call: 1)!
    let bytes = TTRPCResponse.failure(
      stream: stream, Status(.resourceExhausted, "full", retryNanoseconds: nanoseconds))
    let (event, _) = bytes.withUnsafeBytes { connection.next($0) }
    guard case .answered(let answer) = event else {
      Issue.record("\(event)")
      return
    }
    #expect(answer.code == StatusCode.resourceExhausted.rawValue)
    #expect(answer.retryNanoseconds == nanoseconds)
  }

  struct Ending: Equatable {
    var call: UInt64
    var code: Int32
    var message: String
    var payload: [UInt8]
  }

  /// Feeds `chunks` one after the other, keeping what is not consumed, as a reactor does.
  func feed(_ connection: inout TTRPCClientConnection, _ chunks: [[UInt8]]) -> (
    [Ending], [TTRPCClientConnection.Event]
  ) {
    var endings: [Ending] = []
    var others: [TTRPCClientConnection.Event] = []
    var unread: [UInt8] = []
    for chunk in chunks {
      unread += chunk
      loop: while true {
        let (event, consumed) = unread.withUnsafeBytes { connection.next($0) }
        switch event {
        case .needMore(let bytes):
          #expect(consumed == 0)
          #expect(bytes > unread.count)
          break loop
        case .answered(let answer):
          endings.append(
            Ending(
              call: answer.call, code: answer.code, message: String(decoding: unread[answer.message], as: UTF8.self),
              payload: Array(unread[answer.payload])))
        case .broken:
          others.append(event)
          return (endings, others)
        default: others.append(event)
        }
        unread.removeFirst(consumed)
      }
    }
    return (endings, others)
  }

  func connection(calls: Int) -> TTRPCClientConnection {
    var connection = TTRPCClientConnection()
    for call in 0..<calls {
      let stream = connection.open(call: UInt64(100 + call))
      #expect(stream == UInt32(2 * call + 1))
    }
    return connection
  }

  @Test("answers split at every offset, and in any order of streams, end their calls with the same bytes")
  func split() {
    let bytes =
      Self.response(stream: 3, payload: [1, 2, 3]) + Self.response(stream: 1, code: 5, message: "no model")
      + Self.response(stream: 5)
    let expected = [
      Ending(call: 101, code: 0, message: "", payload: [1, 2, 3]),
      Ending(call: 100, code: 5, message: "no model", payload: []),
      Ending(call: 102, code: 0, message: "", payload: []),
    ]
    for first in 0...bytes.count {
      for second in first...bytes.count {
        var connection = connection(calls: 3)
        let chunks = [Array(bytes[..<first]), Array(bytes[first..<second]), Array(bytes[second...])]
        let (endings, others) = feed(&connection, chunks)
        #expect(endings == expected)
        #expect(others == [])
        #expect(connection.callsInFlight == 0)
      }
    }
  }

  @Test("the answer to a call that was forgotten is passed over")
  func forgotten() {
    var connection = connection(calls: 2)
    let forgets = [connection.forget(stream: 1), connection.forget(stream: 1)]
    #expect(forgets == [true, false])
    let (endings, others) = feed(
      &connection, [Self.response(stream: 1, payload: [9]) + Self.response(stream: 3, payload: [8])])
    #expect(endings == [Ending(call: 101, code: 0, message: "", payload: [8])])
    #expect(others == [.skipped])
  }

  @Test("an oversized answer ends its call and the connection goes on")
  func oversized() {
    var connection = connection(calls: 2)
    let count = TTRPCFrame.maximumDataBytes + 1
    let huge = Self.frame(stream: 1, kind: 2, data: [UInt8](repeating: 7, count: count))
    let bytes = huge + Self.response(stream: 3, payload: [1])
    let (endings, others) = feed(&connection, [Array(bytes[..<1_000_000]), Array(bytes[1_000_000...])])
    #expect(endings == [Ending(call: 101, code: 0, message: "", payload: [1])])
    #expect(others.first == .oversized(call: 100, bytes: count))
    #expect(others.dropFirst().allSatisfy { $0 == .skipped })
  }

  @Test("an answer that is no ttrpc response ends its call and the connection goes on")
  func malformed() {
    var connection = connection(calls: 2)
    let bytes = Self.frame(stream: 1, kind: 2, data: [0x12, 0x7f]) + Self.response(stream: 3)
    let (endings, others) = feed(&connection, [bytes])
    #expect(others == [.malformed(call: 100)])
    #expect(endings.map(\.call) == [101])
  }

  @Test("a peer that is no ttrpc server ends the connection")
  func broken() {
    var first = connection(calls: 1)
    #expect(feed(&first, [Array("HTTP/1.1 400 Bad Request".utf8)]).1 == [.broken(.notTTRPC)])
    var second = connection(calls: 1)
    #expect(feed(&second, [Self.response(stream: 3)]).1 == [.broken(.unknownStream(3))])
    var third = connection(calls: 1)
    #expect(feed(&third, [Self.response(stream: 2)]).1 == [.broken(.unknownStream(2))])
    var fourth = connection(calls: 1)
    #expect(feed(&fourth, [Self.frame(stream: 1, kind: 3, data: [])]).1 == [.broken(.unexpectedKind(3))])
  }

  @Test("stream numbers are odd, rise, and are not used twice when they run out")
  func exhaustion() {
    var connection = TTRPCClientConnection(firstStream: UInt32.max - 4)
    let streams = [connection.open(call: 1), connection.open(call: 2), connection.open(call: 3)]
    #expect(streams == [UInt32.max - 4, UInt32.max - 2, nil])
    let abandoned = connection.abandon()
    #expect(abandoned == [1, 2])
    #expect(connection.callsInFlight == 0)
  }

  @Test("random bytes never crash the connection, and end it or wait")
  func garbage() {
    var random = SplitMix(state: 5)
    for _ in 0..<5_000 {
      var connection = connection(calls: 4)
      var bytes = Self.response(stream: 3, code: 3, message: "x", payload: [1, 2, 3, 4]) + Self.response(stream: 5)
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      _ = feed(&connection, [bytes])
      #expect(connection.callsInFlight >= 0)
    }
  }

  @Test("a request's frame is a ttrpc request with the stream's number in its header")
  func request() throws {
    let frame = try CallFrame(method: .score, payload: [1, 2, 3], timeout: .milliseconds(5))
    var bytes = [UInt8](repeating: 0xee, count: frame.byteCount)
    bytes.withUnsafeMutableBytes { frame.write(stream: 7, to: $0.baseAddress!) }
    let header = try #require(bytes.withUnsafeBytes { TTRPCFrame($0) })
    #expect(header == TTRPCFrame(dataBytes: UInt32(bytes.count - 10), stream: 7, kind: 1))
    var expected = ProtobufWriter()
    expected.string(1, "martlet.v1.Scoring")
    expected.string(2, "Score")
    expected.bytes(3, [1, 2, 3])
    expected.signed(4, 5_000_000)
    #expect(Array(bytes[10...]) == expected.bytes)
  }

  @Test("a request longer than a frame is refused")
  func tooLong() {
    let error = #expect(throws: Status.self) {
      try CallFrame(method: .null, payload: [UInt8](repeating: 0, count: TTRPCFrame.maximumDataBytes))
    }
    #expect(error?.code == .resourceExhausted)
  }
}
