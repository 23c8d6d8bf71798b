import MartletCore
import MartletWire

/// Bytes of a connection against the frame state machine, whole and cut into pieces, beside the rules written apart.
package enum FuzzedFrames {
  /// What became of a frame, by what a server may act upon.
  private enum Outcome: Equatable {
    case request(stream: UInt32, start: Int, bytes: Int)
    case refused(stream: UInt32)
    case broken
  }

  /// Longest data of a frame, by the first byte of an input.
  private static let limits = [0, 1, 10, 64, 300, 4 << 20]
  // libFuzzer brings its inputs on one thread.
  private nonisolated(unsafe) static let check = AnswerCheck()

  /// The first byte says how long a frame may be, the second how the bytes are cut, the rest is what a peer sends.
  package static func run(_ data: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    guard let data, count > 2 else { return -1 }
    let limit = limits[Int(data[0]) % limits.count]
    let stream = UnsafeRawBufferPointer(start: data + 2, count: count - 2)
    let expected = rules(stream, limit)
    let whole = outcomes(stream, limit) { stream.count }
    guard whole == expected else { fatalError("the machine says \(whole), the rules say \(expected)") }
    var random = RandomSource(seed: UInt64(data[1]))
    let longest = 1 + Int(data[1]) % 24
    let pieces = outcomes(stream, limit) { 1 + random.below(longest) }
    guard pieces == whole else { fatalError("whole \(whole), in pieces \(pieces)") }
    sniff(stream)
    return 0
  }

  /// Feeds the machine as a reactor does: what it leaves is shown again with what came.
  private static func outcomes(_ stream: UnsafeRawBufferPointer, _ limit: Int, piece: () -> Int) -> [Outcome] {
    var machine = TTRPCServerConnection(maximumDataBytes: limit)
    var outcomes: [Outcome] = []
    var (position, there) = (0, 0)
    while there < stream.count {
      there = min(there + piece(), stream.count)
      reading: while true {
        let (event, taken) = machine.next(UnsafeRawBufferPointer(rebasing: stream[position..<there]))
        position += taken
        guard taken >= 0, position <= there else { fatalError("\(event) took \(taken) bytes, more than there are") }
        switch event {
        case .needMore(let bytes):
          guard taken == 0, bytes > there - position else {
            fatalError("\(event) with \(there - position) bytes there")
          }
          break reading
        case .request(let number, let bytes):
          guard bytes >= 0, bytes <= limit, taken == bytes + TTRPCFrame.headerBytes else {
            fatalError("\(event) of \(taken) bytes, at most \(limit) are read")
          }
          outcomes.append(.request(stream: number, start: position - bytes, bytes: bytes))
        case .refused(let number, let status):
          guard taken > 0 else { fatalError("\(event) took nothing") }
          let answer = TTRPCResponse.failure(stream: number, status)
          guard case .fine(status.code) = answer.withUnsafeBytes({ check.judge($0, method: nil) }) else {
            fatalError("\(event) has an answer that cannot be read")
          }
          outcomes.append(.refused(stream: number))
        case .skipped: guard taken > 0 else { fatalError("skipped nothing") }
        case .broken: return outcomes + [.broken]
        }
      }
    }
    return outcomes
  }

  /// The same from the text of ttrpc's PROTOCOL.md and of docs/, over all bytes at once.
  private static func rules(_ stream: UnsafeRawBufferPointer, _ limit: Int) -> [Outcome] {
    var outcomes: [Outcome] = []
    var position = 0
    var last: UInt32 = 0
    func number(_ at: Int) -> UInt32 { (0..<4).reduce(0) { $0 << 8 | UInt32(stream[position + at + $1]) } }
    while stream.count - position >= 10 {
      guard stream[position] == 0 else { return outcomes + [.broken] }
      let (bytes, id) = (Int(number(0)), number(4))
      let (kind, flags) = (stream[position + 8], stream[position + 9])
      let isNew = id > last
      if bytes > limit {
        outcomes.append(.refused(stream: id))
        last = max(last, id)
      } else if stream.count - position < 10 + bytes {
        break
      } else if id & 1 == 0 {
        outcomes.append(.refused(stream: id))
      } else if kind == 1 {
        let isUnary = isNew && flags | 1 == 1
        outcomes.append(isUnary ? .request(stream: id, start: position + 10, bytes: bytes) : .refused(stream: id))
        last = max(last, id)
      } else if kind == 3, isNew {
        outcomes.append(.refused(stream: id))
      }
      position += 10 + bytes
    }
    return outcomes
  }

  /// What the first bytes told stays true however many follow.
  private static func sniff(_ stream: UnsafeRawBufferPointer) {
    var told: SniffedProtocol?
    for count in 0...min(stream.count, 32) {
      let now = Sniffer.sniff(UnsafeRawBufferPointer(rebasing: stream[..<count]))
      guard told == nil || now == told else { fatalError("\(told!) became \(String(describing: now))") }
      told = now
    }
    guard (stream[0] == 0) == (told == .ttrpc) else {
      fatalError("\(stream[0]) is said to be \(String(describing: told))")
    }
  }
}
