import MartletWire

/// Makes the bytes that one hostile connection sends: frames of mutated calls, some with frames that lie themselves.
struct StreamMaker {
  private static let maximumFrames = 4

  private let calls: ValidCalls
  private var mutator = MessageMutator()
  private var random: RandomSource

  init(calls: ValidCalls, seed: UInt64) {
    self.calls = calls
    random = RandomSource(seed: seed)
    for _ in 0..<256 { mutator.learn(calls.next(&random), &random) }
  }

  /// The next stream, and where to cut it: lengths of the pieces in which it arrives.
  mutating func next() -> (bytes: [UInt8], cuts: [Int]) {
    var frames: [[UInt8]] = []
    var stream: UInt32 = 1
    for _ in 0..<(1 + random.below(Self.maximumFrames)) {
      frames.append(frame(stream))
      stream += random.chance(95) ? 2 : UInt32(2 * (1 + random.below(1 << 20)))
    }
    if random.chance(5) { frames.insert(random.pick(frames), at: random.below(frames.count + 1)) }
    if random.chance(3) { frames.shuffle(using: &random) }
    if random.chance(1) { frames.insert(greeting(), at: 0) }
    var bytes = Array(frames.joined())
    if random.chance(4) { bytes.removeLast(random.below(min(bytes.count, 64))) }
    if random.chance(2) {
      // Everything behind this place is out of step.
      ByteMutator.mutate(&bytes, in: 0..<bytes.count, &random)
    }
    return (bytes, cuts(bytes.count))
  }

  private mutating func frame(_ stream: UInt32) -> [UInt8] {
    var envelope = calls.next(&random)
    if random.chance(10) { mutator.learn(envelope, &random) }
    var data: [UInt8]
    let mode = random.below(100)
    switch mode {
    case 0..<58:
      // Mostly one: what is bent in two places is refused for the first, and the second is never read.
      for _ in 0..<(random.chance(80) ? 1 : 3) { mutator.mutate(envelope: &envelope, &random) }
      data = envelope.encoded
    case 58..<85:
      bendPayload(&envelope)
      data = envelope.encoded
    case 85..<94:
      data = envelope.encoded
      for _ in 0..<(1 + random.below(3)) { ByteMutator.mutate(&data, in: 0..<data.count, &random) }
    default: data = envelope.encoded
    }
    var header = TTRPCFrame(dataBytes: UInt32(data.count), stream: stream, kind: TTRPCFrame.Kind.request)
    if mode >= 94 { bend(&header) }
    var frame = [UInt8](repeating: 0, count: TTRPCFrame.headerBytes)
    frame.withUnsafeMutableBytes { header.write(to: $0.baseAddress!) }
    return frame + data
  }

  /// Changes bytes of the payload and keeps the envelope right.
  private mutating func bendPayload(_ envelope: inout WireMessage) {
    guard let index = envelope.fields.firstIndex(where: { $0.number == 3 }),
      case .message(let inner) = envelope.fields[index].value
    else {
      return envelope.bytes(3, random.bytes(1 + random.below(40)))
    }
    var bytes = inner.encoded
    for _ in 0..<(random.chance(80) ? 1 : 4) { ByteMutator.mutate(&bytes, in: 0..<bytes.count, &random) }
    envelope.fields[index].value = .bytes(bytes)
  }

  private mutating func bend(_ header: inout TTRPCFrame) {
    switch random.below(8) {
    case 0: header.dataBytes &+= UInt32(bitPattern: Int32(random.below(33) - 16))
    case 1: header.dataBytes = random.pick([0, 1, 9, 1 << 20, 4 << 20, (4 << 20) + 1, 0xff_ffff, 1 << 24, .max])
    case 2: header.stream = random.pick([0, 1, 2, 0x7fff_ffff, .max - 1, .max])
    case 3: header.stream &+= 1
    case 4: header.kind = random.pick([0, 2, 3, 4, 255])
    case 5: header.flags = UInt8(truncatingIfNeeded: random.next())
    case 6: header.flags = random.pick([1, 2, 3, 4])
    default: header.kind ^= 1 << UInt8(random.below(8))
    }
  }

  /// How other protocols begin, whole or spoilt.
  private mutating func greeting() -> [UInt8] {
    var bytes = random.pick([
      Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8), [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3],
      Array("GET / HTTP/1.1\r\n\r\n".utf8), [0, 0, 0, 0], [0xff],
    ])
    if random.chance(50) { bytes.removeLast(random.below(bytes.count)) }
    if random.chance(30) { ByteMutator.mutate(&bytes, in: 0..<bytes.count, &random) }
    return bytes
  }

  private mutating func cuts(_ count: Int) -> [Int] {
    var cuts: [Int] = []
    var left = count
    // Whole, byte by byte for a while, or in pieces of any length.
    let style = random.below(10)
    while left > 0 {
      let piece: Int
      switch style {
      case 0, 1, 2: piece = left
      case 3 where cuts.count < 200: piece = 1
      case 4, 5: piece = 1 + random.below(32)
      default: piece = 1 + random.below(left)
      }
      // A long stream in tiny pieces would only measure copying.
      let taken = cuts.count < 400 ? min(piece, left) : left
      cuts.append(taken)
      left -= taken
    }
    return cuts
  }

  /// Whether the connection vanishes before the round of its last bytes ends.
  mutating func vanishes() -> Bool { random.chance(5) }
  /// Whether the server ends its round after a piece, or reads on.
  mutating func roundEnds() -> Bool { random.chance(70) }
}
