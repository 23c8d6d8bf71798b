/// Changes bytes without knowing what they mean.
enum ByteMutator {
  /// One change inside `range`, or right behind it.
  static func mutate(_ bytes: inout [UInt8], in range: Range<Int>, _ random: inout RandomSource) {
    guard !range.isEmpty else {
      bytes.insert(UInt8(truncatingIfNeeded: random.next()), at: range.lowerBound)
      return
    }
    let place = range.lowerBound + random.below(range.count)
    switch random.below(8) {
    case 0, 1, 2: bytes[place] ^= 1 << UInt8(random.below(8))
    case 3: bytes[place] = random.pick([0, 1, 0x7f, 0x80, 0xff])
    case 4: bytes[place] = UInt8(truncatingIfNeeded: random.next())
    case 5: bytes.insert(contentsOf: random.bytes(1 + random.below(4)), at: place)
    case 6: bytes.removeSubrange(place..<min(range.upperBound, place + 1 + random.below(4)))
    default:
      // A piece of it once more, somewhere else.
      let piece = Array(bytes[place..<min(range.upperBound, place + 1 + random.below(16))])
      bytes.insert(contentsOf: piece, at: range.lowerBound + random.below(range.count))
    }
  }
}
