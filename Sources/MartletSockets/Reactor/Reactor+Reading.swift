import CLinux
import Glibc
import MartletCore

/// From a socket to the handler.
extension Reactor {
  /// Stops reading from a connection and showing its bytes until `resumeReading`; what is kept stays kept.
  public func pauseReading(_ connection: ConnectionHandle) {
    assertOnThread()
    guard let pointer = slab[connection], pointer.pointee.isAlive else { return }
    pointer.pointee.flags.insert(.paused)
    touch(pointer, connection)
  }

  /// Ends a pause; kept bytes are shown again in the next round.
  public func resumeReading(_ connection: ConnectionHandle) {
    assertOnThread()
    guard let pointer = slab[connection], pointer.pointee.isAlive, pointer.pointee.flags.contains(.paused) else {
      return
    }
    pointer.pointee.flags.remove(.paused)
    pointer.pointee.flags.insert(.resume)
    touch(pointer, connection)
  }

  /// Asks for `received` again at the next round with the bytes kept; until then nothing more is read.
  ///
  /// For a handler that stopped early to let other connections have their turn.
  public func resumeParsing(_ connection: ConnectionHandle) {
    assertOnThread()
    guard let pointer = slab[connection], pointer.pointee.isAlive else { return }
    pointer.pointee.flags.insert(.resume)
    touch(pointer, connection)
  }

  /// Shows the bytes that handlers asked to see again; what they ask for meanwhile waits for the next round.
  func showKeptBytes(_ handler: any ReactorHandler) {
    guard !resumed.isEmpty else { return }
    swap(&resumed, &resuming)
    for index in 0..<resuming.count {
      let handle = resuming[index]
      guard let connection = slab[handle] else { continue }
      connection.pointee.flags.remove(.listed)
      // Paused or throttled since: it stays asked for, and settling lists it again.
      guard connection.pointee.phase == .open, connection.pointee.flags.isDisjoint(with: [.paused, .throttled]) else {
        continue
      }
      connection.pointee.flags.remove(.resume)
      touch(connection, handle)
      if !connection.pointee.input.isEmpty { showInput(connection, handle, handler) }
    }
    resuming.removeAll(keepingCapacity: true)
  }

  /// Reads the connections of which no edge will tell.
  func readOn(_ handler: any ReactorHandler) {
    guard !unread.isEmpty else { return }
    swap(&unread, &reading)
    for index in 0..<reading.count {
      let handle = reading[index]
      guard let connection = slab[handle] else { continue }
      connection.pointee.flags.remove(.unread)
      guard connection.pointee.phase == .open else { continue }
      read(connection, handle, isHangup: connection.pointee.flags.contains(.hungUp), handler)
    }
    reading.removeAll(keepingCapacity: true)
  }

  /// Lists a connection to be read in the next round. One that is not watched for reading need not be: it is told of
  /// what there is when it is watched again.
  private func leaveUnread(_ connection: UnsafeMutablePointer<Connection>, _ handle: ConnectionHandle) {
    guard connection.pointee.interest.contains(.edge), connection.pointee.phase == .open,
      connection.pointee.flags.isDisjoint(with: [.unread, .paused, .throttled, .peerFinished])
    else { return }
    connection.pointee.flags.insert(.unread)
    unread.append(handle)
  }

  /// Reads once, at most `readChunkBytes`, and shows what there is.
  func read(
    _ connection: UnsafeMutablePointer<Connection>, _ handle: ConnectionHandle, isHangup: Bool,
    _ handler: any ReactorHandler
  ) {
    guard connection.pointee.mayRead else {
      if isHangup { readAfterHangup(connection, handle) }
      return leaveUnread(connection, handle)
    }
    let kept = connection.pointee.input.count
    let room = min(scratch.count, limits.maxReadBufferBytes - kept)
    guard room > 0 else { return fail(connection, handle, .readBufferFull) }
    guard kept == 0 || hasMemory(room, for: connection, handle) else { return fail(connection, handle, .memory) }
    // Room for a whole read is made only where much has come already: a peer that sends little holds little.
    let isDirect = kept >= scratch.count
    let target = isDirect ? connection.pointee.input.reserve(room, from: pool) : scratch.baseAddress
    let count = receive(connection, target, room)
    if count > 0 {
      if count == room || connection.pointee.flags.contains(.ended) { leaveUnread(connection, handle) }
      statistics.received(count, isUnix: connection.pointee.isUnix)
      connection.pointee.flags.insert(.hasReceived)
      connection.pointee.lastActivity = currentTime
      if kept == 0 {
        showScratch(connection, handle, count, handler)
      } else {
        if isDirect {
          connection.pointee.input.add(count)
        } else {
          connection.pointee.input.append(UnsafeRawBufferPointer(rebasing: scratch[..<count]), from: pool)
        }
        showInput(connection, handle, handler)
      }
    } else if count == 0 {
      finishPeer(connection, handle, isHangup: isHangup, handler)
    } else if errno != EAGAIN {
      fail(connection, handle, .reset(errno))
    }
  }

  private func receive(
    _ connection: UnsafeMutablePointer<Connection>, _ target: UnsafeMutableRawPointer?, _ room: Int
  ) -> Int {
    let start = sampleRead ? MonotonicTime.now() : currentTime
    let descriptor = connection.pointee.descriptor.rawValue
    var count: Int
    repeat { count = martlet_receive(descriptor, target, room) } while count < 0 && errno == EINTR
    if sampleRead {
      let error = errno
      sampleRead = false
      statistics.read.observe(MonotonicTime.now().nanoseconds(since: start))
      errno = error
    }
    return count
  }

  private func showScratch(
    _ connection: UnsafeMutablePointer<Connection>, _ handle: ConnectionHandle, _ count: Int,
    _ handler: any ReactorHandler
  ) {
    let bytes = UnsafeRawBufferPointer(rebasing: scratch[..<count])
    let consumed = handler.received(handle, bytes: bytes)
    precondition(consumed >= 0 && consumed <= count, "a handler consumed \(consumed) of \(count) bytes")
    guard consumed < count, connection.pointee.isAlive else { return }
    guard hasMemory(count - consumed, for: connection, handle) else { return fail(connection, handle, .memory) }
    connection.pointee.input.append(UnsafeRawBufferPointer(rebasing: bytes[consumed...]), from: pool)
    startFrame(connection, handle)
  }

  private func showInput(
    _ connection: UnsafeMutablePointer<Connection>, _ handle: ConnectionHandle, _ handler: any ReactorHandler
  ) {
    let bytes = connection.pointee.input.bytes
    let count = bytes.count
    connection.pointee.flags.insert(.shown)
    let consumed = handler.received(handle, bytes: bytes)
    connection.pointee.flags.remove(.shown)
    precondition(consumed >= 0 && consumed <= count, "a handler consumed \(consumed) of \(count) bytes")
    guard consumed > 0 else { return }
    connection.pointee.input.removeFirst(consumed, to: pool)
    if !connection.pointee.input.isEmpty { startFrame(connection, handle) }
  }

  private func startFrame(_ connection: UnsafeMutablePointer<Connection>, _ handle: ConnectionHandle) {
    connection.pointee.frameStart = currentTime
    connection.pointee.flags.remove(.excused)
    arm(connection, handle, currentTime.advanced(byNanoseconds: timeouts.frame))
  }

  /// The peer has sent its last byte.
  private func finishPeer(
    _ connection: UnsafeMutablePointer<Connection>, _ handle: ConnectionHandle, isHangup: Bool,
    _ handler: any ReactorHandler
  ) {
    // Nobody is there to read an answer.
    if isHangup { return fail(connection, handle, .peerClosed) }
    connection.pointee.flags.insert(.peerFinished)
    connection.pointee.input.removeAll(to: pool)
    touch(connection, handle)
    handler.peerFinished(handle)
  }

  /// Both directions are gone while nothing may be read: only bytes that the handler asked to see again are worth it.
  private func readAfterHangup(_ connection: UnsafeMutablePointer<Connection>, _ handle: ConnectionHandle) {
    guard connection.pointee.phase == .open else { return }
    if connection.pointee.flags.contains(.resume), connection.pointee.flags.isDisjoint(with: [.paused, .throttled]) {
      return
    }
    let error = takeError(of: connection.pointee.descriptor.rawValue)
    // A peer that had ended its direction before has closed, whatever the kernel calls it.
    let hasClosed = error == 0 || connection.pointee.flags.contains(.peerFinished)
    fail(connection, handle, hasClosed ? .peerClosed : .reset(error))
  }

  /// Throws away what comes while the peer's end is awaited.
  func discardInput(_ connection: UnsafeMutablePointer<Connection>, _ handle: ConnectionHandle) {
    let count = recv(connection.pointee.descriptor.rawValue, scratch.baseAddress, scratch.count, 0)
    if count > 0 || (count < 0 && (errno == EAGAIN || errno == EINTR)) { return }
    connection.pointee.phase = .ending
    touch(connection, handle)
  }
}
