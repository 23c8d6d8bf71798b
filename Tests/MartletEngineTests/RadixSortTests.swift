import Testing

@testable import MartletEngine

@Suite struct RadixSortTests {
  @Test("values of any sign and size are sorted as comparisons do", arguments: [0, 5_000, 70_000])
  func many(count: Int) {
    var random = SplitMix(UInt64(count))
    var values: [Float] = [.infinity, 0, -.infinity, -0.0, .leastNonzeroMagnitude, -.greatestFiniteMagnitude, 1, -1]
    while values.count < count {
      let value = Float(bitPattern: UInt32.random(in: .min ... .max, using: &random))
      if !value.isNaN { values.append(value) }
    }
    let expected = values.sorted()
    Float.sort(&values)
    // Zeros of both signs are equal, and may come in either order.
    #expect(values == expected)
    #expect(values.filter { $0 == 0 }.map(\.sign).contains(.minus))
  }
}
