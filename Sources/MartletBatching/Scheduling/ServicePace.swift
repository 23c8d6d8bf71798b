import MartletCore

/// How much longer work takes than it is predicted to, while more waits than a round does: reading, refusing and
/// answering take their part of the time, and a prediction is only one.
struct ServicePace {
  /// How much the past counts less with each round.
  private static let fade = 0.95

  private var wall = 0.0
  private var predicted = 0.0
  private var last: MonotonicTime?

  /// Nanoseconds on the clock for each that was predicted; at least 1.
  private(set) var dilation = 1.0
  /// Nanoseconds from the end of one such round to the end of the next.
  private(set) var roundNanoseconds = 0.0

  /// A round has ended that served what was predicted to take so long, and more waits.
  mutating func roundEnded(served: UInt64, now: MonotonicTime) {
    defer { last = now }
    guard let last, served > 0 else { return }
    let took = Double(now.nanoseconds(since: last))
    wall = wall * Self.fade + took
    predicted = predicted * Self.fade + Double(served)
    dilation = min(max(wall / predicted, 1), 100)
    roundNanoseconds = roundNanoseconds == 0 ? took : roundNanoseconds + (took - roundNanoseconds) / 8
  }

  /// Nothing waits: what is known stays, but the next round is not measured from the last.
  mutating func rest() { last = nil }
}
