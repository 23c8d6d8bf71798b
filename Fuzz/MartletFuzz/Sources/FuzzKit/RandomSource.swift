/// Random numbers that a seed determines: the same seed makes the same streams.
///
/// Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (SplitMix64), OOPSLA 2014.
struct RandomSource: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }

  /// A number from 0 to `bound` - 1; 0 when `bound` is not positive.
  mutating func below(_ bound: Int) -> Int {
    bound > 1 ? Int((UInt64(UInt32(truncatingIfNeeded: next() >> 32)) &* UInt64(bound)) >> 32) : 0
  }

  /// Whether an event of `percent` in a hundred happens.
  mutating func chance(_ percent: Int) -> Bool { below(100) < percent }

  mutating func pick<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }

  mutating func bytes(_ count: Int) -> [UInt8] {
    var random = [UInt8]()
    random.reserveCapacity(count)
    for _ in 0..<count { random.append(UInt8(truncatingIfNeeded: next())) }
    return random
  }
}
