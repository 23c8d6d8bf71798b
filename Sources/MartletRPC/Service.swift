import MartletCore

/// Which side of a method sends more than one message.
public enum MethodKind: Sendable {
  case unary
  case clientStreaming
  case serverStreaming
  case bidirectional
}

public struct MethodDescriptor: Sendable {
  public let name: String
  public let kind: MethodKind

  public init(_ name: String, _ kind: MethodKind = .unary) {
    self.name = name
    self.kind = kind
  }
}

/// What is known of a call before its message is read.
@frozen
public struct CallHead: Sendable {
  public var id: CallID
  /// Index into the service's methods.
  public var method: Int
  /// When its bytes were read.
  public var received: MonotonicTime
  public var deadline: MonotonicTime
  /// Whether it came over loopback or a Unix socket.
  public var isLocal: Bool

  @inlinable
  public init(id: CallID, method: Int, received: MonotonicTime, deadline: MonotonicTime, isLocal: Bool) {
    self.id = id
    self.method = method
    self.received = received
    self.deadline = deadline
    self.isLocal = isLocal
  }
}

/// A set of methods that callers know by name.
///
/// Every reactor has its own instance, which only that reactor's thread touches: no locks. A call begins, brings
/// messages, ends its side and may be cancelled; the service answers through its `Responder`, at once or later.
public protocol Service: AnyObject {
  /// The full name, package included.
  var name: String { get }
  var methods: [MethodDescriptor] { get }

  func begin(_ call: CallHead)
  /// `payload` lies in what the connection has read or in the arena of the reactor's messages: valid until this
  /// returns.
  func message(_ call: CallHead, _ payload: UnsafeRawBufferPointer)
  /// The caller will send no more.
  func halfClose(_ call: CallHead)
  /// The caller went away or gave up; nothing that is answered reaches it any more.
  func cancel(_ call: CallID)
  /// A connection went away, and with it these calls, all that it had in flight with this service.
  func disconnected(_ calls: [CallID])

  /// The shortcut of a unary call: one message, which is also the last. A thrown status ends the call.
  func unary(_ call: CallHead, _ payload: UnsafeRawBufferPointer) throws(Status)
}

extension Service {
  public func disconnected(_ calls: [CallID]) {
    for call in calls { cancel(call) }
  }

  public func unary(_ call: CallHead, _ payload: UnsafeRawBufferPointer) throws(Status) {
    begin(call)
    message(call, payload)
    halfClose(call)
  }
}

/// A service whose methods are all unary: only the shortcut is left to write.
public protocol UnaryService: Service {}

extension UnaryService {
  public func begin(_ call: CallHead) {}
  public func message(_ call: CallHead, _ payload: UnsafeRawBufferPointer) {}
  public func halfClose(_ call: CallHead) {}
  public func cancel(_ call: CallID) {}
}

/// How services answer. On the reactor's thread only.
public protocol Responder: AnyObject {
  /// Room for a message of `bytes` bytes, which the caller fills before it does anything else with the responder;
  /// nil when the call is gone, and then there is nothing to do.
  func message(_ call: CallID, bytes: Int) -> UnsafeMutableRawPointer?
  /// Ends a call whose messages were sent with OK; `now` is the time, which the caller may have read a moment ago.
  func finish(_ call: CallID, now: MonotonicTime)
  /// `message` and `finish` in one: `fill` writes the only message of a call, of so many bytes, where the call is still
  /// there.
  func answer(_ call: CallID, bytes: Int, now: MonotonicTime, _ fill: (UnsafeMutableRawPointer) -> Void)
  /// `answer` for calls of one connection whose answers have the same size: `fill` writes them, all at once or
  /// some at a time.
  func answer(_ run: CallRun, bytes: Int, now: MonotonicTime, _ fill: (AnswerRun) -> Void)
  /// Ends a call with a status.
  func fail(_ call: CallID, _ status: Status)
}

extension Responder {
  public func finish(_ call: CallID) { finish(call, now: .now()) }

  public func answer(_ call: CallID, bytes: Int, now: MonotonicTime, _ fill: (UnsafeMutableRawPointer) -> Void) {
    guard let target = message(call, bytes: bytes) else { return }
    fill(target)
    finish(call, now: now)
  }

  public func answer(_ run: CallRun, bytes: Int, now: MonotonicTime, _ fill: (AnswerRun) -> Void) {
    for index in 0..<run.count {
      answer(run[index].pointee, bytes: bytes, now: now) { target in
        fill(AnswerRun(target: target, stride: 0, calls: index..<(index + 1)))
      }
    }
  }
}

/// Where the messages of calls of a run are to be written.
@frozen
public struct AnswerRun {
  /// Of the first of them.
  public let target: UnsafeMutableRawPointer
  /// Bytes from one to the next.
  public let stride: Int
  /// Their places in the run.
  public let calls: Range<Int>

  @inlinable @inline(__always)
  public init(target: UnsafeMutableRawPointer, stride: Int, calls: Range<Int>) {
    self.target = target
    self.stride = stride
    self.calls = calls
  }
}

/// Somebody with work at the end of a round, the batcher for example.
public protocol RoundWorker: AnyObject {
  /// Returns whether work is left that need not wait for anything.
  func roundEnded(now: MonotonicTime) -> Bool
}
