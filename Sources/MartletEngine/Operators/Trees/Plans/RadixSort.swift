extension Float {
  /// Sorts values of which none is NaN, -0 before 0.
  ///
  /// Large ensembles have millions of thresholds: three passes over 11 bits each take a tenth of the time of comparisons.
  static func sort(_ values: inout [Float]) {
    guard values.count > 4_096 else { return values.sort() }
    var keys = values.map { key($0) }
    var other = [UInt32](repeating: 0, count: keys.count)
    keys.withUnsafeMutableBufferPointer { keys in
      other.withUnsafeMutableBufferPointer { other in
        distribute(keys, to: other, shift: 0)
        distribute(other, to: keys, shift: 11)
        distribute(keys, to: other, shift: 22)
      }
    }
    for index in values.indices { values[index] = value(other[index]) }
  }

  /// Copies by the 11 bits from `shift` on, and in the order they have where those are equal.
  private static func distribute(
    _ source: UnsafeMutableBufferPointer<UInt32>, to target: UnsafeMutableBufferPointer<UInt32>, shift: UInt32
  ) {
    withUnsafeTemporaryAllocation(of: Int.self, capacity: 1 << 11) { next in
      next.initialize(repeating: 0)
      for key in source { next[Int(key >> shift & 0x7ff)] += 1 }
      var sum = 0
      for digit in next.indices { (next[digit], sum) = (sum, sum + next[digit]) }
      for key in source {
        let digit = Int(key >> shift & 0x7ff)
        target[next[digit]] = key
        next[digit] += 1
      }
    }
  }

  /// Bits that are in the order of the values: those of negative ones turned over, those of others above them.
  private static func key(_ value: Float) -> UInt32 {
    let bits = value.bitPattern
    return bits >> 31 == 0 ? bits | 1 << 31 : ~bits
  }

  private static func value(_ key: UInt32) -> Float {
    Float(bitPattern: key >> 31 == 0 ? ~key : key & ~(1 << 31))
  }
}
