import CLinux
import Glibc
import MartletCore

/// From the handler to a socket.
extension Reactor {
  /// Room for `bytes` at the end of the write buffer, valid until the next call for this connection.
  ///
  /// Nil when the connection is gone, or when it has more than `maxWriteBufferBytes` unsent, or all connections together
  /// more than `maxBufferBytes` and this one most of it: it is then closed. Nothing is sent before `commit`.
  public func reserve(_ connection: ConnectionHandle, _ bytes: Int) -> UnsafeMutableRawPointer? {
    assertOnThread()
    guard let pointer = slab[connection], pointer.pointee.isAlive else { return nil }
    if pointer.pointee.output.count + bytes > limits.maxWriteBufferBytes {
      // Much may have gathered in this round: only what the peer does not take counts against it.
      if pointer.pointee.phase == .open, !pointer.pointee.output.isEmpty { flush(pointer, connection) }
      guard pointer.pointee.isAlive else { return nil }
      guard pointer.pointee.output.count + bytes <= limits.maxWriteBufferBytes else {
        fail(pointer, connection, .slowReader)
        return nil
      }
    }
    guard hasMemory(bytes, for: pointer, connection) else {
      fail(pointer, connection, .memory)
      return nil
    }
    return pointer.pointee.output.reserve(bytes, from: pool)
  }

  /// Makes the first `bytes` of what was reserved part of the output; it is written at the end of the round.
  public func commit(_ connection: ConnectionHandle, _ bytes: Int) {
    assertOnThread()
    guard let pointer = slab[connection], pointer.pointee.isAlive else { return }
    if pointer.pointee.output.isEmpty { pointer.pointee.lastWrite = currentTime }
    pointer.pointee.output.add(bytes)
    touch(pointer, connection)
  }

  /// `reserve` and `commit` in one: `bytes` more at the end of the output, which the caller fills before it does anything
  /// else. Nil as `reserve`.
  public func extend(_ connection: ConnectionHandle, by bytes: Int) -> UnsafeMutableRawPointer? {
    assertOnThread()
    if let pointer = slab[connection], pointer.pointee.isAlive {
      if pointer.pointee.output.isEmpty {
        // The first answer of a round.
        if bytes <= BufferPool.smallestBytes, bytes <= limits.maxWriteBufferBytes,
          hasMemory(bytes, for: pointer, connection)
        {
          pointer.pointee.lastWrite = currentTime
          touch(pointer, connection)
          return pointer.pointee.output.begin(with: bytes, from: pool)
        }
      } else if pointer.pointee.flags.contains(.touched),
        pointer.pointee.output.count + bytes <= limits.maxWriteBufferBytes,
        let target = pointer.pointee.output.extend(by: bytes)
      {
        // Room in a buffer that is already there: nothing to grow, so no bound to ask.
        return target
      }
    }
    guard let target = reserve(connection, bytes) else { return nil }
    commit(connection, bytes)
    return target
  }

  /// Committed bytes that are not sent yet; 0 when the connection is gone.
  public func unsentBytes(_ connection: ConnectionHandle) -> Int {
    assertOnThread()
    return slab[connection]?.pointee.output.count ?? 0
  }

  /// Whether the buffers of a connection may grow by so much.
  ///
  /// When all together are at their bound, those who hold more than this one would are closed, the largest first: peers
  /// that do not read, or send large frames slowly, must not keep the others from being answered.
  func hasMemory(
    _ bytes: Int, for connection: UnsafeMutablePointer<Connection>, _ handle: ConnectionHandle
  ) -> Bool {
    if pool.rentedBytes + bytes <= limits.maxBufferBytes { return true }
    let wanted = connection.pointee.heldBytes + bytes
    while pool.rentedBytes + bytes > limits.maxBufferBytes {
      guard let largest = slab.heaviest({ $0.pointee.heldBytes }), largest.weight > wanted, largest.handle != handle,
        let other = slab[largest.handle], other.pointee.flags.isDisjoint(with: .shown)
      else { return false }
      fail(other, largest.handle, .memory)
      other.pointee.input.removeAll(to: pool)
      other.pointee.output.removeAll(to: pool)
    }
    return true
  }

  /// Writes once as much as the socket takes.
  func flush(_ connection: UnsafeMutablePointer<Connection>, _ handle: ConnectionHandle) {
    let start = sampleWrite ? MonotonicTime.now() : currentTime
    let bytes = connection.pointee.output.bytes
    let descriptor = connection.pointee.descriptor.rawValue
    var count: Int
    repeat {
      count = martlet_send(descriptor, bytes.baseAddress, bytes.count)
    } while count < 0 && errno == EINTR
    let error = errno
    if sampleWrite {
      sampleWrite = false
      statistics.write.observe(MonotonicTime.now().nanoseconds(since: start))
    }
    if count >= 0 {
      statistics.sent(count, isUnix: connection.pointee.isUnix)
      connection.pointee.output.removeFirst(count, to: pool)
      connection.pointee.lastWrite = currentTime
      connection.pointee.lastActivity = currentTime
    } else if error != EAGAIN {
      fail(connection, handle, connection.pointee.flags.contains(.peerFinished) ? .peerClosed : .reset(error))
    }
  }

  /// Stops reading from a peer that does not read, and goes on when half of what waited is gone.
  func throttle(_ connection: UnsafeMutablePointer<Connection>) {
    let unsent = connection.pointee.output.count
    let highWater = min(limits.writeHighWaterBytes, limits.maxWriteBufferBytes / 2)
    if unsent > highWater {
      connection.pointee.flags.insert(.throttled)
    } else if unsent <= highWater / 2 {
      connection.pointee.flags.remove(.throttled)
    }
  }
}
