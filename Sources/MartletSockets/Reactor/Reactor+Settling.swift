import Glibc
import MartletCore

/// The end of a round for the connections that it touched: output, interest, ends.
extension Reactor {
  /// Ends a connection, at the end of the round at the earliest; `closed` follows.
  ///
  /// With `afterFlush` everything committed is sent first, then the end of this direction, and the peer is given
  /// `lingerTimeout` to end its own, so that it can read the last answers; `closed` comes when they are sent. From now on
  /// nothing is shown of this connection and nothing more can be committed.
  public func close(_ connection: ConnectionHandle, reason: CloseReason, afterFlush: Bool) {
    assertOnThread()
    guard let pointer = slab[connection], pointer.pointee.isAlive else { return }
    endings &+= 1
    pointer.pointee.reason = reason
    pointer.pointee.phase = afterFlush && pointer.pointee.phase == .open ? .draining : .ending
    touch(pointer, connection)
  }

  /// Ends a connection that is of no more use, whatever is unsent.
  func fail(_ connection: UnsafeMutablePointer<Connection>, _ handle: ConnectionHandle, _ reason: CloseReason) {
    guard connection.pointee.phase != .ending else { return }
    endings &+= 1
    // Why it lingers or drains has been said.
    if connection.pointee.isAlive { connection.pointee.reason = reason }
    connection.pointee.phase = .ending
    touch(connection, handle)
  }

  /// Brings every touched connection into its state for the wait. Handlers that are told of ends may touch others.
  func settleTouched(_ handler: any ReactorHandler) {
    var next = 0
    while next < touched.count {
      let handle = touched[next]
      next += 1
      // Always there: a connection leaves the slab only by `destroy`, and its flag keeps it in this list once.
      guard let connection = slab[handle] else { continue }
      connection.pointee.flags.remove(.touched)
      settle(connection, handle, handler)
    }
    touched.removeAll(keepingCapacity: true)
  }

  private func settle(
    _ connection: UnsafeMutablePointer<Connection>, _ handle: ConnectionHandle, _ handler: any ReactorHandler
  ) {
    if connection.pointee.phase == .open || connection.pointee.phase == .draining {
      if !connection.pointee.output.isEmpty { flush(connection, handle) }
      throttle(connection)
    }
    switch connection.pointee.phase {
    case .ending:
      destroy(handle, handler)
    case .draining where connection.pointee.output.isEmpty:
      linger(connection, handle, handler)
    case .connecting, .draining, .lingering:
      updateInterest(connection, handle)
    case .open:
      list(connection, handle)
      updateInterest(connection, handle)
    }
  }

  /// Lists a connection that wants its kept bytes shown, when they may be.
  private func list(_ connection: UnsafeMutablePointer<Connection>, _ handle: ConnectionHandle) {
    guard connection.pointee.flags.contains(.resume),
      connection.pointee.flags.isDisjoint(with: [.listed, .paused, .throttled])
    else { return }
    connection.pointee.flags.insert(.listed)
    resumed.append(handle)
  }

  func updateInterest(_ connection: UnsafeMutablePointer<Connection>, _ handle: ConnectionHandle) {
    var interest: PollInterest = []
    switch connection.pointee.phase {
    case .connecting: interest = .write
    case .open where connection.pointee.flags.isDisjoint(with: [.paused, .throttled, .peerFinished]):
      interest = readInterest
    case .lingering: interest = .read
    case .open, .draining, .ending: break
    }
    if !connection.pointee.output.isEmpty {
      interest.insert(.write)
      arm(connection, handle, connection.pointee.lastWrite.advanced(byNanoseconds: timeouts.write))
    }
    guard interest != connection.pointee.interest else { return }
    connection.pointee.interest = interest
    poller.update(connection.pointee.descriptor.rawValue, token: Self.token(handle), interest: interest)
  }

  /// All output is sent: says so to the peer, and waits for its end. Closing at once, with bytes of the peer unread,
  /// would reset the connection and take the last answers away from it.
  private func linger(
    _ connection: UnsafeMutablePointer<Connection>, _ handle: ConnectionHandle, _ handler: any ReactorHandler
  ) {
    guard !connection.pointee.flags.contains(.peerFinished), timeouts.linger > 0,
      shutdown(connection.pointee.descriptor.rawValue, Int32(SHUT_WR)) == 0
    else {
      connection.pointee.phase = .ending
      return destroy(handle, handler)
    }
    connection.pointee.phase = .lingering
    connection.pointee.phaseStart = currentTime
    connection.pointee.input.removeAll(to: pool)
    arm(connection, handle, currentTime.advanced(byNanoseconds: timeouts.linger))
    updateInterest(connection, handle)
    statistics.closed(connection.pointee.reason)
    connection.pointee.flags.insert(.reported)
    handler.closed(handle, reason: connection.pointee.reason)
  }

  /// Takes a connection out and closes its socket; the handler is told unless it was before.
  func destroy(_ handle: ConnectionHandle, _ handler: any ReactorHandler) {
    var connection = slab.remove(handle)
    wheel.cancel(connection.timer, .connection(handle))
    connection.input.removeAll(to: pool)
    connection.output.removeAll(to: pool)
    let reason = connection.reason
    let isReported = connection.flags.contains(.reported)
    statistics.left(isUnix: connection.isUnix, isOutbound: connection.flags.contains(.outbound))
    connection.limiter?.release(connection.peer.address)
    openConnections.subtract(1, ordering: .relaxed)
    poller.close(connection.descriptor)
    guard !isReported else { return }
    statistics.closed(reason)
    handler.closed(handle, reason: reason)
  }
}
