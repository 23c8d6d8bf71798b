import MartletCore
import Testing

@testable import MartletWire

/// Feeds bytes as a socket would: in pieces, unread bytes kept.
private func events(of bytes: [UInt8], cutAt cuts: [Int], limit: Int = 4 << 20) -> [TTRPCServerConnection.Event] {
  var machine = TTRPCServerConnection(maximumDataBytes: limit)
  var events: [TTRPCServerConnection.Event] = []
  var unread: [UInt8] = []
  var start = 0
  for cut in cuts + [bytes.count] {
    unread += bytes[start..<cut]
    start = cut
    while true {
      let (event, consumed) = unread.withUnsafeBytes { machine.next($0) }
      unread.removeFirst(consumed)
      if case .needMore = event { break }
      if event != .skipped { events.append(event) }
      if case .broken = event { return events }
    }
  }
  return events
}

private func frame(_ stream: UInt32, kind: UInt8 = 1, flags: UInt8 = 0, data: [UInt8] = [1, 2, 3]) -> [UInt8] {
  var bytes = [UInt8](repeating: 0, count: TTRPCFrame.headerBytes)
  bytes.withUnsafeMutableBytes {
    TTRPCFrame(dataBytes: UInt32(data.count), stream: stream, kind: kind, flags: flags).write(to: $0.baseAddress!)
  }
  return bytes + data
}

@Suite("ttrpc as a server sees it")
struct TTRPCServerConnectionTests {
  @Test("a frame split at every offset is the same frame")
  func everySplit() {
    let bytes = frame(1) + frame(3, data: []) + frame(5, data: Array(0..<40))
    let whole = events(of: bytes, cutAt: [])
    #expect(
      whole == [
        .request(stream: 1, dataBytes: 3), .request(stream: 3, dataBytes: 0), .request(stream: 5, dataBytes: 40),
      ])
    for cut in 0...bytes.count { #expect(events(of: bytes, cutAt: [cut]) == whole) }
    #expect(events(of: bytes, cutAt: Array(0...bytes.count)) == whole)
  }

  @Test("an oversize frame ends its call, its bytes are dropped, and the next frame is read")
  func oversize() {
    let bytes = frame(1, data: Array(repeating: 7, count: 101)) + frame(3)
    for cut in stride(from: 0, through: bytes.count, by: 3) {
      let came = events(of: bytes, cutAt: [cut], limit: 100)
      #expect(came.count == 2)
      guard case .refused(1, let status) = came.first else { return #expect(Bool(false), "\(came)") }
      #expect(status.code == .resourceExhausted)
      #expect(status.message.contains("101"))
      #expect(came.last == .request(stream: 3, dataBytes: 3))
    }
  }

  @Test(
    "what breaks a rule of streams ends that call only",
    arguments: [
      (frame(2), StatusCode.invalidArgument), (frame(1, flags: 2), .unimplemented),
      (frame(1, flags: 8), .invalidArgument), (frame(9, kind: 3), .invalidArgument),
    ])
  func rules(_ bad: [UInt8], _ code: StatusCode) {
    let came = events(of: bad + frame(11), cutAt: [])
    guard case .refused(_, let status) = came.first else { return #expect(Bool(false), "\(came)") }
    #expect(status.code == code)
    #expect(came.last == .request(stream: 11, dataBytes: 3))
  }

  @Test("a stream number that does not rise is refused")
  func rising() {
    let came = events(of: frame(5) + frame(5) + frame(3) + frame(7), cutAt: [])
    #expect(came.count == 4)
    #expect(came[0] == .request(stream: 5, dataBytes: 3))
    for index in 1...2 {
      guard case .refused(_, let status) = came[index] else { return #expect(Bool(false), "\(came)") }
      #expect(status.code == .invalidArgument)
    }
    #expect(came[3] == .request(stream: 7, dataBytes: 3))
  }

  @Test("responses and data of answered calls are passed over")
  func passedOver() {
    #expect(
      events(of: frame(3) + frame(3, kind: 3) + frame(5, kind: 2), cutAt: []) == [.request(stream: 3, dataBytes: 3)])
  }

  @Test("a first byte that is not 0 is another protocol")
  func broken() {
    guard case .broken = events(of: [1, 0, 0, 0, 0, 0, 0, 1, 1, 0], cutAt: []).last else {
      return #expect(Bool(false))
    }
  }

  @Test("the shortcut for whole requests says what the machine says, and leaves all else to it", arguments: 0..<20)
  func shortcut(_ seed: Int) {
    var state = UInt64(seed) &* 0x9e37_79b9_7f4a_7c15 &+ 1
    func below(_ bound: UInt64) -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return (state >> 33) % bound
    }
    var bytes: [UInt8] = []
    var stream: UInt32 = 1
    for _ in 0..<400 {
      // One in four is out of the usual: an even or old stream, another kind or flag, too long.
      let isUsual = below(4) > 0
      let number = isUsual ? stream : UInt32(below(UInt64(stream) + 4))
      bytes += frame(
        number, kind: isUsual ? 1 : UInt8(below(5)), flags: isUsual ? UInt8(below(2)) : UInt8(below(9)),
        data: Array(repeating: 7, count: Int(isUsual ? below(200) : below(260))))
      stream += UInt32(2 * below(2))
    }
    var machine = TTRPCServerConnection(maximumDataBytes: 200)
    var quick = machine
    var requests = 0
    bytes.withUnsafeBytes { all in
      var position = 0
      while position < all.count {
        // Some looks see a part of the bytes only.
        let seen = below(3) == 0 ? min(all.count - position, Int(below(240))) : all.count - position
        let rest = UnsafeRawBufferPointer(start: all.baseAddress! + position, count: seen)
        let (event, consumed) = machine.next(rest)
        if let (number, dataBytes) = quick.nextRequest(rest) {
          requests += 1
          #expect(event == .request(stream: number, dataBytes: dataBytes))
          #expect(consumed == TTRPCFrame.headerBytes + dataBytes)
        } else {
          if case .request = event { #expect(Bool(false), "\(event) was not taken") }
          let (same, _) = quick.next(rest)
          #expect(same == event)
        }
        position += consumed
      }
    }
    #expect(requests > 50)
  }

  @Test("random bytes never stop the machine from moving on", arguments: 0..<20)
  func garbage(_ seed: Int) {
    var state = UInt64(seed) &* 0x9e37_79b9_7f4a_7c15 &+ 1
    var bytes: [UInt8] = []
    for _ in 0..<5_000 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      // Mostly small lengths, or the first frame would swallow everything.
      bytes.append(state >> 60 < 12 ? 0 : UInt8(truncatingIfNeeded: state >> 33))
    }
    var machine = TTRPCServerConnection(maximumDataBytes: 200)
    var position = 0
    var steps = 0
    bytes.withUnsafeBytes { all in
      while position < all.count {
        let (event, consumed) = machine.next(UnsafeRawBufferPointer(rebasing: all[position...]))
        position += consumed
        steps += 1
        if case .broken = event { break }
        if case .needMore(let more) = event {
          #expect(more > all.count - position)
          break
        }
        #expect(consumed > 0)
      }
    }
    #expect(steps <= bytes.count)
  }
}

@Suite("What a connection speaks")
struct SnifferTests {
  @Test("the first bytes tell the protocol, however they are cut")
  func sniff() {
    func sniff(_ bytes: [UInt8]) -> SniffedProtocol? { bytes.withUnsafeBytes { Sniffer.sniff($0) } }
    let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
    for count in 0..<preface.count { #expect(sniff(Array(preface[..<count])) == nil) }
    #expect(sniff(preface + [0]) == .http2)
    #expect(sniff([0]) == .ttrpc)
    #expect(sniff([0x16]) == .tls)
    #expect(sniff(Array("GET / HTTP/1.1".utf8)) == .unknown)
    #expect(sniff(Array("PRJ".utf8)) == .unknown)
  }

  @Test(
    "an envelope that has only a payload behind its names is read as by the general reader, any other is left to it")
  func onlyPayload() {
    var generator = SystemRandomNumberGenerator()
    func same(_ bytes: [UInt8]) {
      bytes.withUnsafeBytes { bytes in
        guard let payload = TTRPCRequest.onlyPayload(behindNames: bytes) else { return }
        let read = TTRPCRequest(plainBehindNames: bytes)
        #expect(read?.timeoutNanoseconds == 0)
        #expect(read.map { Array($0.payload) } == Array(payload))
        #expect(read?.payload.baseAddress == payload.baseAddress)
      }
    }
    for count in Array(0..<300) + [16_383, 16_384, 70_000] {
      var message = ProtoBuffer()
      message.data(3, [UInt8](repeating: 7, count: count))
      let found = message.bytes.withUnsafeBytes { TTRPCRequest.onlyPayload(behindNames: $0)?.count }
      if count > 0 { #expect(found == (count < 16_384 ? count : nil)) }
      same(message.bytes)
      for cut in 0..<min(8, message.bytes.count) { same(Array(message.bytes.prefix(cut))) }
      message.integer(4, 1_000)
      #expect(message.bytes.withUnsafeBytes { TTRPCRequest.onlyPayload(behindNames: $0) == nil })
      same(message.bytes)
    }
    for _ in 0..<20_000 {
      same([0x1a] + (0..<Int.random(in: 0..<6, using: &generator)).map { _ in .random(in: 0...255, using: &generator) })
    }
    // A length that is longer than it need be.
    same([0x1a, 0x83, 0x00, 1, 2, 3])
  }
}
