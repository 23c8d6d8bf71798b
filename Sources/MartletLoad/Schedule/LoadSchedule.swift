import Glibc

/// When the calls of an open loop are due, decided before the first one is sent and by nothing that the server does.
///
/// Deterministic and without I/O: the same rate, arrivals and seed give the same times.
public struct LoadSchedule: Sendable {
  /// How the gaps between calls are spread.
  public enum Arrivals: String, Sendable, CaseIterable {
    /// Gaps are exponential, as they are when many callers know nothing of each other.
    case poisson
    /// Every gap is the same.
    case constant
  }

  private let gap: Double
  private let arrivals: Arrivals
  private let phase: Double
  private var generator: SeededGenerator
  private var elapsed = 0.0
  private var count: UInt64 = 0

  /// - Parameters:
  ///   - rate: calls a second, above 0.
  ///   - phase: where in a gap a constant schedule begins, 0..<1, so that several interleave evenly.
  public init(rate: Double, arrivals: Arrivals, seed: UInt64, phase: Double = 0) {
    gap = 1e9 / rate
    self.arrivals = arrivals
    self.phase = phase
    generator = SeededGenerator(seed: seed)
  }

  /// When the next call is due, in nanoseconds after the start; never before the one before it.
  public mutating func next() -> UInt64 {
    switch arrivals {
    case .poisson:
      elapsed -= log(1 - generator.unit()) * gap
      return UInt64(elapsed)
    case .constant:
      // From the count rather than by adding gaps, so that rounding does not add up.
      defer { count += 1 }
      return UInt64((Double(count) + phase) * gap)
    }
  }
}
