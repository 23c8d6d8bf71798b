import MartletCore
import MartletSockets

/// How a call ended.
public struct CallCompletion: Sendable {
  /// The name that the caller gave it.
  public var call: UInt64
  public var connection: ConnectionHandle
  /// The status code as it came; 0 is OK. See `StatusCode`.
  public var code: Int32
  /// When the bytes of the answer were read.
  public var receivedAt: MonotonicTime
  /// How long the server asks to be left alone, in nanoseconds; 0 when it says nothing about that.
  public var retryNanoseconds: UInt64 = 0
}

/// What a channel tells its owner; all calls on the channel's thread, from which every method of the channel may be
/// called.
public protocol CallChannelDelegate: AnyObject {
  /// A connection stands: calls may be sent.
  func connected(_ connection: ConnectionHandle)

  /// A call was answered.
  ///
  /// `payload` is the response message, `message` the status's text in UTF-8 (empty when OK); both are valid during
  /// the call only.
  func completed(_ completion: CallCompletion, payload: RawSpan, message: RawSpan)

  /// A call that was sent will get no answer, because its connection ended; `closed` follows.
  func lost(call: UInt64, on connection: ConnectionHandle, reason: CloseReason)

  /// A connection ended, or could not be opened. It comes once for each `connect` that did not throw.
  func closed(_ connection: ConnectionHandle, reason: CloseReason)

  /// A moment given to `CallChannel.schedule` has come.
  func timerFired(token: UInt64, now: MonotonicTime)

  /// Everything that was ready has been read. True asks for another round at once.
  func roundEnded(now: MonotonicTime) -> Bool
}

extension CallChannelDelegate {
  public func connected(_ connection: ConnectionHandle) {}
  public func timerFired(token: UInt64, now: MonotonicTime) {}
  public func roundEnded(now: MonotonicTime) -> Bool { false }
}
