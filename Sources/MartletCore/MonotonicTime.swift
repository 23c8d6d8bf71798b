#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A point on the monotonic clock, in nanoseconds since some fixed moment of this machine's uptime.
@frozen
public struct MonotonicTime: Comparable, Hashable, Sendable {
  public var nanoseconds: UInt64

  @inlinable
  public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

  /// Later than any moment: the deadline of a call that has none.
  @inlinable
  public static var distantFuture: MonotonicTime { MonotonicTime(nanoseconds: .max) }

  /// Reads the clock; about 20 ns, so once a round rather than once a call.
  public static func now() -> MonotonicTime {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return MonotonicTime(nanoseconds: UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec))
  }

  @inlinable
  public static func < (a: MonotonicTime, b: MonotonicTime) -> Bool { a.nanoseconds < b.nanoseconds }

  /// Nanoseconds from `earlier` to this moment; 0 when `earlier` is later.
  @inlinable
  public func nanoseconds(since earlier: MonotonicTime) -> UInt64 {
    nanoseconds > earlier.nanoseconds ? nanoseconds &- earlier.nanoseconds : 0
  }

  /// This moment moved by `nanoseconds`, saturating at `distantFuture`.
  @inlinable
  public func advanced(byNanoseconds more: UInt64) -> MonotonicTime {
    let (sum, overflow) = nanoseconds.addingReportingOverflow(more)
    return overflow ? .distantFuture : MonotonicTime(nanoseconds: sum)
  }

  public func advanced(by duration: Duration) -> MonotonicTime {
    advanced(byNanoseconds: duration.wholeNanoseconds)
  }
}

extension Duration {
  /// The duration in nanoseconds; 0 for a negative one, saturating.
  public var wholeNanoseconds: UInt64 {
    let (seconds, attoseconds) = components
    guard seconds >= 0, attoseconds >= 0 else { return 0 }
    let (whole, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
    return overflow ? .max : whole.addingReportingOverflow(UInt64(attoseconds / 1_000_000_000)).partialValue
  }
}
