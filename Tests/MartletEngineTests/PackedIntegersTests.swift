import Testing

@testable import MartletEngine

@Suite("Packed integers")
struct PackedIntegersTests {
  private func pack(_ values: [Int64]) -> PackedIntegers {
    var packed = PackedIntegers(count: values.count, bits: values.reduce(0) { $0 | PackedIntegers.bits(of: $1) })
    packed.append { add in values.forEach(add) }
    return packed
  }

  @Test(
    "integers keep their values in the least width that holds all of them",
    arguments: [
      ([0, 127, -128], 1), ([0, 128], 2), ([-129], 2), ([32_767, -32_768], 2), ([32_768], 4), ([-32_769], 4),
      ([2_147_483_647, -2_147_483_648], 4), ([2_147_483_648], 8), ([.max, .min, 0], 8), ([], 1),
    ] as [([Int64], Int)])
  func widths(values: [Int64], width: Int) {
    let packed = pack(values)
    #expect(packed.width == width)
    #expect(packed.count == values.count)
    #expect(packed.values == values)
    for (index, value) in values.enumerated() { #expect(packed[index] == value) }
  }

  @Test("a list is constant when it has one value at least, and no other")
  func constant() {
    #expect(pack([3, 3, 3]).isConstant)
    #expect(pack([3]).isConstant)
    #expect(!pack([3, 4]).isConstant)
    #expect(!pack([]).isConstant)
    #expect(!PackedIntegers([]).isConstant)
  }
}
