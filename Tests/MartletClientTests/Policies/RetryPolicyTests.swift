import MartletCore
import Testing

@testable import MartletClient

@Suite struct RetryPolicyTests {
  private let now = MonotonicTime(nanoseconds: 1_000_000_000)

  /// Draws the largest value every time, so that the bound shows.
  private func wait(attempts: Int, _ policy: RetryPolicy) -> Duration? {
    let time = policy.nextAttempt(
      after: .notSent, attempts: attempts, isIdempotent: false, now: now, deadline: .distantFuture, jitter: 1)
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
      #expect(wait == expected)
    }
  }

  @Test("the jitter is full: the shortest wait is none")
  func jitter() {
    let time = RetryPolicy().nextAttempt(
      after: .answered(.unavailable), attempts: 3, isIdempotent: true, now: now, deadline: .distantFuture,
      jitter: 0)
    #expect(time == now)
  }

  @Test("a server that asks to be left alone is, and the wait comes on top")
  func retryInfo() {
    let policy = RetryPolicy()
    func next(_ jitter: Double, _ deadline: MonotonicTime) -> MonotonicTime? {
      policy.nextAttempt(
        after: .answered(.unavailable), attempts: 1, isIdempotent: true, now: now, deadline: deadline,
        atLeast: 30_000_000, jitter: jitter)
    }
    #expect(next(0, .distantFuture) == now.advanced(by: .milliseconds(30)))
    #expect(next(1, .distantFuture) == now.advanced(by: .milliseconds(80)))
    #expect(next(0, now.advanced(by: .milliseconds(30))) == nil)
  }

  @Test("nothing is tried again that would come after the deadline")
  func deadline() {
    let policy = RetryPolicy()
    let soon = now.advanced(by: .milliseconds(20))
    let time = policy.nextAttempt(
      after: .notSent, attempts: 1, isIdempotent: true, now: now, deadline: soon, jitter: 1)
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
