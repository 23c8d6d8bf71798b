/// Bends a message's tree: what a careless or hostile encoder could write.
struct MessageMutator {
  private static let numbers: [UInt64] = [
    0, 1, 2, 7, 8, 63, 64, 127, 128, 255, 256, 4095, 4096, 4097, 65_535, 65_536, 65_537, 1 << 20, 0x7fff_ffff,
    0x8000_0000, 0xffff_ffff, 0x1_0000_0000, 0x7fff_ffff_ffff_ffff, 0x8000_0000_0000_0000, .max - 1, .max,
  ]
  private static let texts: [[UInt8]] = [
    [0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82], [0], [0x61, 0, 0x62],
    [0xc3, 0xa9],
    Array("mixed".utf8), Array("echo".utf8), Array("FP32".utf8), Array("BYTES".utf8), Array("FP16".utf8),
    Array("1".utf8), Array("shared_memory_region".utf8), Array("sequence_id".utf8), Array("classification".utf8),
    Array("label".utf8), Array("..".utf8), Array("/etc/passwd".utf8), Array("damaged".utf8), Array("%s%n".utf8),
  ]
  /// Bit patterns of numbers that are none: NaN, infinities, -0, a denormal, the largest.
  private static let doubles: [UInt64] = [
    0x7ff8_0000_0000_0000, 0x7ff0_0000_0000_0000, 0xfff0_0000_0000_0000, 0x8000_0000_0000_0000, 1,
    0x7fef_ffff_ffff_ffff, 0x7ff0_0000_0000_0001,
  ]

  /// Fields of other calls, to be put where they do not belong.
  private var donors: [WireField] = []

  /// Remembers some fields of a valid message.
  mutating func learn(_ message: WireMessage, _ random: inout RandomSource) {
    guard let field = message.fields.randomElement(using: &random) else { return }
    if donors.count < 256 { donors.append(field) } else { donors[random.below(donors.count)] = field }
    if case .message(let inner) = field.value { learn(inner, &random) }
  }

  /// Bends one place of a call's envelope; mostly its payload, so that most calls are still found by their names.
  func mutate(envelope: inout WireMessage, _ random: inout RandomSource) {
    if random.chance(90), let payload = envelope.fields.firstIndex(where: { $0.number == 3 }),
      case .message(var inner) = envelope.fields[payload].value
    {
      mutate(&inner, &random)
      envelope.fields[payload].value = .message(inner)
    } else {
      mutate(&envelope, &random)
    }
  }

  func mutate(_ message: inout WireMessage, _ random: inout RandomSource) {
    guard !message.fields.isEmpty, !random.chance(4) else {
      message.fields.append(random.pick(donors))
      return
    }
    let index = random.below(message.fields.count)
    if case .message(var inner) = message.fields[index].value, random.chance(75) {
      mutate(&inner, &random)
      message.fields[index].value = .message(inner)
      return
    }
    switch random.below(12) {
    case 0: message.fields.remove(at: index)
    case 1:
      let copies = random.chance(95) ? 1 + random.below(3) : random.below(random.chance(90) ? 100 : 3000)
      for _ in 0..<copies { message.fields.insert(message.fields[index], at: index) }
    case 2: message.fields.swapAt(index, random.below(message.fields.count))
    case 3:
      message.fields[index].number =
        random.chance(85) ? UInt32(random.below(12)) : random.pick([0, 15, 16, 19_000, 0x1fff_ffff])
    case 4: message.fields[index].wireType = UInt8(random.below(8))
    case 5: message.fields[index].value = otherKind(message.fields[index].value, &random)
    case 6: message.fields[index].lengthError = lengthError(&random)
    case 7: message.fields[index] = random.pick(donors)
    case 8: message.fields[index].value = nested(message.fields[index], &random)
    default: message.fields[index].value = bent(message.fields[index].value, &random)
    }
  }

  private func lengthError(_ random: inout RandomSource) -> Int64 {
    switch random.below(6) {
    case 0: 1
    case 1: -1
    case 2: Int64(random.below(64)) - 32
    case 3: Int64(random.pick([1 << 20, 1 << 31, 1 << 32, 1 << 62]))
    case 4: Int64(bitPattern: random.next())
    default: -Int64(random.below(1 << 16))
    }
  }

  private func otherKind(_ value: WireField.Value, _ random: inout RandomSource) -> WireField.Value {
    switch random.below(6) {
    case 0: .varint(random.pick(Self.numbers))
    case 1: .fixed32(UInt32(truncatingIfNeeded: random.next()))
    case 2: .fixed64(random.pick(Self.doubles))
    case 3: .bytes(random.bytes(random.below(40)))
    case 4: .longVarint(random.next(), bytes: 2 + random.below(14))
    default: .message(WireMessage(fields: [random.pick(donors)]))
    }
  }

  /// The field inside itself, again and again.
  private func nested(_ field: WireField, _ random: inout RandomSource) -> WireField.Value {
    var value = field.value
    for _ in 0..<(1 + random.below(random.chance(90) ? 4 : 60)) {
      var inner = field
      inner.value = value
      value = .message(WireMessage(fields: [inner]))
    }
    return value
  }

  private func bent(_ value: WireField.Value, _ random: inout RandomSource) -> WireField.Value {
    switch value {
    case .varint(let number):
      switch random.below(4) {
      case 0: .varint(number &+ 1)
      case 1: .varint(number &- 1)
      case 2: .longVarint(number, bytes: 2 + random.below(12))
      default: .varint(random.pick(Self.numbers))
      }
    case .longVarint: .varint(random.next())
    case .fixed32(let number): .fixed32(number ^ (1 << UInt32(random.below(32))))
    case .fixed64: .fixed64(random.pick(Self.doubles))
    case .bytes(let bytes): .bytes(bent(bytes, &random))
    case .message(let message): .bytes(bent(message.encoded, &random))
    }
  }

  private func bent(_ original: [UInt8], _ random: inout RandomSource) -> [UInt8] {
    var bytes = original
    switch random.below(10) {
    case 0: return random.pick(Self.texts)
    case 1: bytes.insert(contentsOf: random.pick(Self.texts), at: random.below(bytes.count + 1))
    case 2: bytes.removeLast(random.below(bytes.count + 1))
    case 3: bytes.append(contentsOf: random.bytes(1 + random.below(16)))
    case 4:
      // A number that is none, where a number may lie.
      let width = random.chance(50) ? 4 : 8
      guard bytes.count >= width else { return random.bytes(width) }
      let pattern = random.pick(Self.doubles)
      let start = random.below(bytes.count / width) * width
      for place in 0..<width {
        let shift = UInt64(8 * (width == 8 ? place : place + 4))
        bytes[start + place] = UInt8(truncatingIfNeeded: pattern >> shift)
      }
    case 5 where random.chance(20):
      let count = random.below(random.chance(95) ? 2000 : 100_000)
      return Array(repeating: UInt8(truncatingIfNeeded: random.next()), count: count)
    case 6: return []
    default: ByteMutator.mutate(&bytes, in: 0..<bytes.count, &random)
    }
    return bytes
  }
}
