import Glibc
import MartletCore

/// The limits of time in nanoseconds; a duration of zero is no limit.
struct Timeouts {
  let idle: UInt64
  let firstByte: UInt64
  let frame: UInt64
  let write: UInt64
  let connect: UInt64
  /// Here zero means not to wait at all.
  let linger: UInt64

  init(_ limits: SocketLimits) {
    func limit(_ duration: Duration) -> UInt64 {
      let nanoseconds = duration.wholeNanoseconds
      return nanoseconds == 0 ? .max : nanoseconds
    }
    idle = limit(limits.idleTimeout)
    firstByte = limit(limits.firstByteTimeout)
    frame = limit(limits.frameTimeout)
    write = limit(limits.writeTimeout)
    connect = limit(limits.connectTimeout)
    linger = limits.lingerTimeout.wholeNanoseconds
  }
}

/// Timeouts of connections and of the handler.
///
/// A connection has one timer, which ends with it. Traffic only notes the time; when the timer fires, what is due then decides
/// between an end and the next timer, so nothing is added to the wheel for a read or a write of a busy connection.
extension Reactor {
  /// Far timers are rounded up to this, so that many idle connections wake the reactor a few times a second at most.
  private static let coarseNanoseconds: UInt64 = 250_000_000
  /// When a connection is looked at again whose bytes have arrived but were not read yet.
  private static let secondLookNanoseconds: UInt64 = 10_000_000

  /// Calls `timerFired(token)` once, not before `time`.
  public func schedule(at time: MonotonicTime, token: UInt64) {
    assertOnThread()
    guard time != .distantFuture else { return }
    wheel.schedule(at: time, .handler(token))
  }

  /// Holds its connections, also those that are open, to other limits. What was made by the old ones stays: how many
  /// connections there is room for, how much is read at once, how much the mailbox takes.
  public func apply(_ limits: SocketLimits) {
    assertOnThread()
    self.limits = limits
    timeouts = Timeouts(limits)
    for handle in slab.handles {
      guard let connection = slab[handle], connection.pointee.phase != .ending else { continue }
      connection.pointee.armedUntil = .distantFuture
      arm(connection, handle, nextDeadline(connection).0)
    }
  }

  /// Makes sure that the connection is looked at when `deadline` has passed.
  func arm(_ connection: UnsafeMutablePointer<Connection>, _ handle: ConnectionHandle, _ deadline: MonotonicTime) {
    guard deadline < connection.pointee.armedUntil else { return }
    var time = deadline
    let coarse = Self.coarseNanoseconds
    if deadline.nanoseconds(since: currentTime) > 8 * coarse {
      time = MonotonicTime(nanoseconds: (deadline.nanoseconds / coarse) &* coarse).advanced(byNanoseconds: coarse)
    }
    guard time < connection.pointee.armedUntil else { return }
    connection.pointee.armedUntil = time
    wheel.cancel(connection.pointee.timer, .connection(handle))
    connection.pointee.timer = wheel.schedule(at: time, .connection(handle))
  }

  /// A timer of the connection fired: ends it or waits on.
  func checkTimeouts(_ handle: ConnectionHandle, _ handler: any ReactorHandler) {
    guard let connection = slab[handle], connection.pointee.phase != .ending else { return }
    // Set anew since it fired, by something else in this round.
    guard currentTime >= connection.pointee.armedUntil else { return }
    connection.pointee.armedUntil = .distantFuture
    var (deadline, reason) = nextDeadline(connection)
    if deadline <= currentTime, reason == .idle, !handler.mayCloseIdle(handle) {
      connection.pointee.lastActivity = currentTime
      (deadline, reason) = nextDeadline(connection)
    }
    if deadline <= currentTime, isOwnDelay(connection, reason, since: deadline) {
      deadline = currentTime.advanced(byNanoseconds: Self.secondLookNanoseconds)
    }
    if deadline <= currentTime { fail(connection, handle, reason) } else { arm(connection, handle, deadline) }
  }

  /// Whether it is this side that is late: bytes of the peer have arrived and were not read yet.
  ///
  /// That happens when the process stood still (SIGSTOP, a paused machine) or more sockets are ready than one round sees.
  private func isOwnDelay(
    _ connection: UnsafeMutablePointer<Connection>, _ reason: CloseReason, since deadline: MonotonicTime
  ) -> Bool {
    switch reason {
    case .idle, .firstByteTimeout: break
    // A peer that sends byte by byte always has something under way: it is excused once, and again only while the timer
    // is far too late.
    case .slowWriter where !connection.pointee.flags.contains(.excused): break
    case .slowWriter where currentTime.nanoseconds(since: deadline) > 2 * Self.coarseNanoseconds: break
    default: return false
    }
    guard connection.pointee.mayRead else { return false }
    if reason == .slowWriter { connection.pointee.flags.insert(.excused) }
    var byte: UInt8 = 0
    return recv(connection.pointee.descriptor.rawValue, &byte, 1, Int32(MSG_PEEK)) > 0
  }

  /// The next moment at which the connection is ended if nothing happens, and why.
  private func nextDeadline(_ connection: UnsafeMutablePointer<Connection>) -> (MonotonicTime, CloseReason) {
    let start = connection.pointee.phaseStart
    let flags = connection.pointee.flags
    switch connection.pointee.phase {
    case .connecting: return (start.advanced(byNanoseconds: timeouts.connect), .connectTimeout)
    case .lingering: return (start.advanced(byNanoseconds: timeouts.linger), .local)
    case .open, .draining, .ending: break
    }
    var deadline = connection.pointee.lastActivity.advanced(byNanoseconds: timeouts.idle)
    var reason = CloseReason.idle
    func consider(_ since: MonotonicTime, _ timeout: UInt64, _ why: CloseReason) {
      let other = since.advanced(byNanoseconds: timeout)
      if other < deadline { (deadline, reason) = (other, why) }
    }
    if flags.isDisjoint(with: [.hasReceived, .outbound]) { consider(start, timeouts.firstByte, .firstByteTimeout) }
    if !connection.pointee.output.isEmpty { consider(connection.pointee.lastWrite, timeouts.write, .slowReader) }
    // Bytes that this side does not want to see yet are not the peer's delay.
    if !connection.pointee.input.isEmpty, flags.isDisjoint(with: [.paused, .throttled, .resume]) {
      consider(connection.pointee.frameStart, timeouts.frame, .slowWriter)
    }
    return (deadline, reason)
  }
}
