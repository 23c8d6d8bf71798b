import MartletCore
import Testing

@testable import MartletClient

@Suite struct RetryPolicyTests {
  private let now = MonotonicTime(nanoseconds: 1_000_000_000)

  /// Draws the largest value every time, so that the bound shows.
  private struct Highest: RandomNumberGenerator {
    // Stored, because ThreadSanitizer of Swift 6.3 crashes on an inout of a type without storage.
    private var value = UInt64.max
    mutating func next() -> UInt64 { value }
  }

  /// Draws the smallest value every time; 1, since the standard library draws again after 0.
  private struct Lowest: RandomNumberGenerator {
    private var value: UInt64 = 1
    mutating func next() -> UInt64 { value }
  }

  private func wait(attempts: Int, _ policy: RetryPolicy) -> Duration? {
    var random = Highest()
    let time = policy.nextAttempt(
      after: .notSent, attempts: attempts, isIdempotent: false, now: now, deadline: .distantFuture, using: &random)
    return time.map { .nanoseconds(Int64($0.nanoseconds(since: now))) }
  }

  @Test("the longest wait doubles up to a bound, and attempts end")
  func backoff() {
    var policy = RetryPolicy()
    policy.maximumAttempts = 8
    policy.initialBackoff = .milliseconds(50)
    policy.maximumBackoff = .milliseconds(450)
    let waits = (1...8).map { wait(attempts: $0, policy) }
    let expected = [50, 100, 200, 400, 450, 450, 450].map { Optional(Duration.milliseconds($0)) } + [nil]
    for (wait, expected) in zip(waits, expected) {
      // The generator's highest draw falls short of the bound by rounding only.
      #expect((wait == nil) == (expected == nil))
      if let wait, let expected { #expect(wait <= expected && wait > expected * 0.999) }
    }
  }

  @Test("the jitter is full: the shortest wait is none")
  func jitter() {
    var random = Lowest()
    let time = RetryPolicy().nextAttempt(
      after: .answered(.unavailable), attempts: 3, isIdempotent: true, now: now, deadline: .distantFuture,
      using: &random)
    #expect(time == now)
  }

  @Test("a server that asks to be left alone is, and the wait comes on top")
  func retryInfo() {
    var low = Lowest()
    var high = Highest()
    let policy = RetryPolicy()
    func next(_ random: inout some RandomNumberGenerator, _ deadline: MonotonicTime) -> MonotonicTime? {
      policy.nextAttempt(
        after: .answered(.unavailable), attempts: 1, isIdempotent: true, now: now, deadline: deadline,
        atLeast: 30_000_000, using: &random)
    }
    #expect(next(&low, .distantFuture) == now.advanced(by: .milliseconds(30)))
    #expect(next(&high, .distantFuture)! > now.advanced(by: .milliseconds(79)))
    #expect(next(&low, now.advanced(by: .milliseconds(30))) == nil)
  }

  @Test("nothing is tried again that would come after the deadline")
  func deadline() {
    var random = Highest()
    let policy = RetryPolicy()
    let soon = now.advanced(by: .milliseconds(20))
    let time = policy.nextAttempt(
      after: .notSent, attempts: 1, isIdempotent: true, now: now, deadline: soon, using: &random)
    #expect(time == nil)
  }

  @Test("a call that may have been executed is tried again only when that does no harm")
  func safety() {
    let policy = RetryPolicy()
    #expect(policy.allows(.notSent, isIdempotent: false))
    #expect(policy.allows(.lost, isIdempotent: true))
    #expect(!policy.allows(.lost, isIdempotent: false))
    #expect(policy.allows(.answered(.unavailable), isIdempotent: true))
    #expect(!policy.allows(.answered(.unavailable), isIdempotent: false))
    for code in StatusCode.allCases where code != .unavailable {
      #expect(!policy.allows(.answered(code), isIdempotent: true))
    }
    #expect(!RPCMethod.load.isIdempotent)
    #expect(!RPCMethod.unload.isIdempotent)
    #expect(RPCMethod.score.isIdempotent)
  }
}
