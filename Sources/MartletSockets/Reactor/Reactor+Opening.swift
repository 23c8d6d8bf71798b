import Glibc
import MartletCore

/// How connections begin: accepted and handed over, or opened from this side.
extension Reactor {
  /// Begins to open a connection, which does not block; `opened` is called when it stands, `closed` when it fails.
  ///
  /// Output committed meanwhile is sent when it stands. Throws `resourceExhausted` when there is no descriptor or no slot
  /// left, `unavailable` when the reactor is stopping; whatever the peer does comes through `closed`.
  public func connect(to address: SocketAddress) throws(Status) -> ConnectionHandle {
    assertOnThread()
    guard !isEnding else { throw Status(.unavailable, "cannot connect to \(address): the reactor is stopping") }
    guard !slab.isFull else {
      throw Status(
        .resourceExhausted, "cannot connect to \(address): \(slab.capacity) connections are open, the limit")
    }
    let number = makeStreamSocket(for: address)
    guard number >= 0 else {
      throw Status(.resourceExhausted, "cannot connect to \(address): \(errorText(errno))")
    }
    let descriptor = FileDescriptor(owning: number)
    let result = address.withSystemAddress { Glibc.connect(number, $0, $1) }
    let error = result == 0 ? 0 : errno
    let handle = slab.insert(
      Connection(
        descriptor: descriptor, peer: PeerInfo(address: address, listener: address), limiter: nil, phase: .connecting,
        flags: .outbound, now: currentTime))
    openConnections.add(1, ordering: .relaxed)
    statistics.joined(isUnix: address.isUnix, isOutbound: true)
    guard let connection = slab[handle] else { return handle }
    guard poller.add(number, token: Self.token(handle), interest: .write) else {
      fail(connection, handle, .connectFailed(errno))
      return handle
    }
    connection.pointee.interest = .write
    if error != 0, error != EINPROGRESS, error != EINTR {
      fail(connection, handle, .connectFailed(error))
    } else {
      arm(connection, handle, currentTime.advanced(byNanoseconds: timeouts.connect))
    }
    return handle
  }

  func finishConnecting(
    _ connection: UnsafeMutablePointer<Connection>, _ handle: ConnectionHandle, _ handler: any ReactorHandler
  ) {
    let descriptor = connection.pointee.descriptor.rawValue
    let error = takeError(of: descriptor)
    guard error == 0 else { return fail(connection, handle, .connectFailed(error)) }
    // Readiness may be wrong: only a socket with a peer is connected.
    guard SocketAddress.filled(by: { getpeername(descriptor, $0, $1) }) != nil else { return }
    let local = SocketAddress.filled { getsockname(descriptor, $0, $1) } ?? connection.pointee.peer.listener
    connection.pointee.phase = .open
    connection.pointee.phaseStart = currentTime
    connection.pointee.lastActivity = currentTime
    connection.pointee.lastWrite = currentTime
    touch(connection, handle)
    arm(connection, handle, currentTime.advanced(byNanoseconds: timeouts.idle))
    handler.opened(handle, peer: PeerInfo(address: connection.pointee.peer.address, listener: local))
  }

  /// Makes an adopted socket a connection.
  func open(_ number: Int32, _ peer: PeerInfo, _ limiter: ConnectionLimiter?, _ handler: any ReactorHandler) {
    guard !isEnding, !slab.isFull else {
      statistics.refused(isEnding ? .reactor : .connectionLimit)
      return discardAdopted(number, peer, limiter)
    }
    let handle = slab.insert(
      Connection(
        descriptor: FileDescriptor(owning: number), peer: peer, limiter: limiter, phase: .open, flags: [],
        now: currentTime))
    guard let connection = slab[handle] else { return }
    guard poller.add(number, token: Self.token(handle), interest: readInterest) else {
      // The kernel's memory for watches is used up; nobody has heard of the connection yet.
      let connection = slab.remove(handle)
      statistics.refused(.descriptors)
      return discardAdopted(connection.descriptor.release(), peer, limiter)
    }
    connection.pointee.interest = readInterest
    statistics.joined(isUnix: connection.pointee.isUnix, isOutbound: false)
    arm(connection, handle, currentTime.advanced(byNanoseconds: min(timeouts.firstByte, timeouts.idle)))
    handler.opened(handle, peer: peer)
  }
}
