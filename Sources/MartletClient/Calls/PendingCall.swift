import MartletCore
import MartletSockets
import Synchronization

/// A call from its beginning to its end, through all its attempts.
final class PendingCall: @unchecked Sendable {
  // Unchecked: the constants are set before the call is handed to the channel's thread, `isCancelled` is atomic, and
  // the variables are touched on that thread only.

  enum State {
    /// For a connection with room.
    case waiting
    /// For the time of the next attempt.
    case backingOff
    case inFlight(ConnectionHandle, stream: UInt32)
  }

  let id: UInt64
  let method: RPCMethod
  let payload: [UInt8]
  let deadline: MonotonicTime
  let retry: RetryPolicy
  let isCancelled = Atomic<Bool>(false)

  var state = State.waiting
  /// Attempts that have failed.
  var failedAttempts = 0
  /// The endpoint of the last attempt.
  var endpoint: Int?
  /// Takes the result, once.
  var finish: ((Result<[UInt8], ClientError>) -> Void)?

  init(id: UInt64, method: RPCMethod, payload: [UInt8], deadline: MonotonicTime, retry: RetryPolicy) {
    self.id = id
    self.method = method
    self.payload = payload
    self.deadline = deadline
    self.retry = retry
  }
}
