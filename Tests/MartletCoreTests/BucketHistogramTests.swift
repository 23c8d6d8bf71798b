import Testing

@testable import MartletCore

@Suite("Histograms")
struct BucketHistogramTests {
  @Test("every observation is in its bucket, whatever came before it")
  func buckets() {
    let bounds: [UInt64] = [10, 20, 50]
    let histogram = BucketHistogram(bounds: bounds, scale: 1)
    var wanted = [UInt64](repeating: 0, count: bounds.count + 1)
    var sum: UInt64 = 0
    // The same value again and again, and each after every other.
    let values: [UInt64] = [0, 10, 11, 20, 21, 50, 51, 1_000]
    for first in values {
      for second in values {
        for value in [first, first, second, second, first] {
          histogram.observe(value)
          wanted[bounds.firstIndex { value <= $0 } ?? bounds.count] += 1
          sum += value
        }
      }
    }
    histogram.observe(20, times: 7)
    wanted[1] += 7
    sum += 140
    #expect(histogram.bucketCounts == wanted)
    #expect(histogram.sum == sum)
  }

  @Test("zero comes first into the first bucket")
  func zero() {
    let histogram = BucketHistogram.durations()
    histogram.observe(0)
    #expect(histogram.bucketCounts[0] == 1)
  }
}
