import MartletCore

/// When a failed attempt is made again: exponential backoff with full jitter.
///
/// The wait before attempt n + 1 is drawn evenly from zero to `initialBackoff` * `multiplier`^(n - 1), at most
/// `maximumBackoff`: evenly from zero, because callers that failed together then do not come back together. Source:
/// AWS Architecture Blog, "Exponential Backoff And Jitter", 2015.
public struct RetryPolicy: Sendable, Equatable {
  /// How an attempt failed.
  public enum Failure: Sendable, Equatable {
    /// The request did not reach the server: no connection, or it could not be sent.
    case notSent
    /// The request was sent and the connection ended: it may have been executed, or not.
    case lost
    /// The server answered with this status.
    case answered(StatusCode)
  }

  /// Attempts of a call, the first included.
  public var maximumAttempts = 5
  public var initialBackoff: Duration = .milliseconds(50)
  public var multiplier = 2.0
  public var maximumBackoff: Duration = .seconds(1)
  /// Answers that say that nothing was executed and that later may be better.
  public var retriedCodes: Set<StatusCode> = [.unavailable]

  public init() {}

  /// Never tries again.
  public static var none: RetryPolicy {
    var policy = RetryPolicy()
    policy.maximumAttempts = 1
    return policy
  }

  /// Whether another attempt cannot do harm and may help.
  public func allows(_ failure: Failure, isIdempotent: Bool) -> Bool {
    switch failure {
    case .notSent: true
    case .lost: isIdempotent
    // Refused before execution; all the same a method that changes the server is left to its caller.
    case .answered(let code): isIdempotent && retriedCodes.contains(code)
    }
  }

  /// When to try again after `attempts` failed ones; nil: not at all.
  ///
  /// - Parameters:
  ///   - atLeast: nanoseconds that the server asks to be left alone; the wait comes on top, so that those who were refused
  ///     together do not come back together.
  ///   - jitter: a number from 0 to 1, drawn for this attempt: its share of the longest wait.
  public func nextAttempt(
    after failure: Failure, attempts: Int, isIdempotent: Bool, now: MonotonicTime, deadline: MonotonicTime,
    atLeast: UInt64 = 0, jitter: Double
  ) -> MonotonicTime? {
    guard attempts < maximumAttempts, allows(failure, isIdempotent: isIdempotent) else { return nil }
    let longest = Double(maximumBackoff.wholeNanoseconds)
    var bound = Double(initialBackoff.wholeNanoseconds)
    for _ in 1..<max(1, attempts) where bound < longest { bound *= multiplier }
    bound = min(bound, longest)
    let wait = UInt64(bound * jitter)
    let time = now.advanced(byNanoseconds: atLeast).advanced(byNanoseconds: wait)
    return time < deadline ? time : nil
  }
}
