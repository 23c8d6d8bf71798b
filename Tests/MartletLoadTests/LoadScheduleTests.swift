import Testing

@testable import MartletLoad

@Suite struct LoadScheduleTests {
  private func times(_ count: Int, rate: Double, _ arrivals: LoadSchedule.Arrivals, seed: UInt64 = 1) -> [UInt64] {
    var schedule = LoadSchedule(rate: rate, arrivals: arrivals, seed: seed)
    return (0..<count).map { _ in schedule.next() }
  }

  @Test("a constant schedule keeps its gap without drifting")
  func constant() {
    let times = times(1_000_001, rate: 3_000, .constant)
    #expect(times[0] == 0)
    #expect(times[3_000] == 1_000_000_000)
    #expect(times[1_000_000] == 333_333_333_333)
  }

  @Test("constant schedules of several threads interleave evenly")
  func phases() {
    var all: [UInt64] = []
    for thread in 0..<4 {
      var schedule = LoadSchedule(rate: 250, arrivals: .constant, seed: 1, phase: Double(thread) / 4)
      for _ in 0..<100 { all.append(schedule.next()) }
    }
    all.sort()
    #expect(zip(all, all.dropFirst()).allSatisfy { $1 - $0 == 1_000_000 })
  }

  @Test("Poisson arrivals have the mean, the spread and the counts of a Poisson process")
  func poisson() {
    let count = 200_000
    let times = times(count, rate: 10_000, .poisson)
    let gaps = zip([0] + times, times).map { Double($1 - $0) }
    let mean = gaps.reduce(0, +) / Double(count)
    let variance = gaps.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(count)
    // The standard error of the mean is 0.22 %; an exponential's deviation equals its mean.
    #expect(abs(mean - 100_000) < 1_000)
    #expect(abs(variance.squareRoot() / mean - 1) < 0.02)
    // Exponential gaps: 63.2 % are below the mean, 0.67 % above five times it.
    #expect(abs(Double(gaps.count { $0 < mean }) / Double(count) - 0.632) < 0.005)
    #expect(abs(Double(gaps.count { $0 > 5 * mean }) / Double(count) - 0.00674) < 0.001)
    // Counts in windows of 10 ms: mean and variance are both 100.
    var counts = [Double](repeating: 0, count: Int(times.last! / 10_000_000))
    for time in times where Int(time / 10_000_000) < counts.count { counts[Int(time / 10_000_000)] += 1 }
    let expected = counts.reduce(0, +) / Double(counts.count)
    let spread = counts.reduce(0) { $0 + ($1 - expected) * ($1 - expected) } / Double(counts.count)
    #expect(abs(expected - 100) < 1)
    #expect(abs(spread / expected - 1) < 0.1)
  }

  @Test("times never go back")
  func monotonic() {
    let times = times(100_000, rate: 5_000_000, .poisson)
    #expect(zip(times, times.dropFirst()).allSatisfy { $0 <= $1 })
  }

  @Test("a seed decides the schedule")
  func seeds() {
    #expect(times(1_000, rate: 100, .poisson, seed: 7) == times(1_000, rate: 100, .poisson, seed: 7))
    #expect(times(1_000, rate: 100, .poisson, seed: 7) != times(1_000, rate: 100, .poisson, seed: 8))
  }

  @Test("the generator is xoshiro256** seeded by SplitMix64")
  func generator() {
    // The state after seeding with 0 is SplitMix64's published first outputs; the first draw follows from the second.
    let second: UInt64 = 0x6e78_9e6a_a1b9_65f4
    let rotated = ((second &* 5) << 7) | ((second &* 5) >> 57)
    var generator = SeededGenerator(seed: 0)
    #expect(generator.next() == rotated &* 9)
    let draws = (0..<10_000).map { _ in generator.index(below: 10) }
    #expect(Set(draws) == Set(0..<10))
    #expect((0..<10_000).allSatisfy { _ in (0..<1).contains(generator.unit()) })
  }
}
