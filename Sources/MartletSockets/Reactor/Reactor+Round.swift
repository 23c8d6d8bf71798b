import MartletCore

/// A round, from readiness to the next wait.
extension Reactor: RoundDelegate {
  /// One round in this many has a read and a write timed: two more looks at the clock each time would be seen.
  private static let sampledRounds: UInt64 = 8
  /// How long free buffers wait for a use before they go back to the allocator.
  private static let trimNanoseconds: UInt64 = 1_000_000_000

  func round(_ events: UnsafeBufferPointer<PollEvent>) -> PollWait {
    guard let handler else { return .stop }
    let start = MonotonicTime.now()
    currentTime = start
    rounds &+= 1
    sampleRead = rounds % Self.sampledRounds == 0
    sampleWrite = sampleRead
    if spin > 0, !events.isEmpty || !resumed.isEmpty || !unread.isEmpty || mailbox.hasItems { lastEvent = start }

    showKeptBytes(handler)
    readOn(handler)
    for event in events { serve(event, handler) }
    serveMailbox(handler)
    fireTimers(handler)
    let isWorkLeft = handler.roundEnded(now: start)
    settleTouched(handler)

    if stopRequested.load(ordering: .acquiring) {
      end(handler)
      return .stop
    }
    statistics.buffered.set(UInt64(pool.rentedBytes))
    if !isTrimDue, pool.retainedBytes > BufferPool.keptBytes {
      isTrimDue = true
      wheel.schedule(at: currentTime.advanced(byNanoseconds: Self.trimNanoseconds), .buffers)
    }
    let now = MonotonicTime.now()
    // A round that only looked and found nothing is part of the wait.
    if spin == 0 || lastEvent == start { statistics.recordRound(from: start, to: now) }
    return nextWait(isWorkLeft, now)
  }

  private func nextWait(_ isWorkLeft: Bool, _ now: MonotonicTime) -> PollWait {
    if isWorkLeft || !resumed.isEmpty || !unread.isEmpty || mailbox.hasItems { return .none }
    if spin > 0, now.nanoseconds(since: lastEvent) < spin { return .none }
    guard let next = wheel.nextAdvance else { return .forever }
    let wait = next.nanoseconds(since: now)
    return wait == 0 ? .none : .nanoseconds(wait)
  }

  private func serve(_ event: PollEvent, _ handler: any ReactorHandler) {
    let slot = UInt32(truncatingIfNeeded: event.token)
    if slot == Acceptor.slot {
      acceptors[Int(event.token >> 32)]?.acceptRound()
      return
    }
    let handle = ConnectionHandle(slot: slot, generation: UInt32(event.token >> 32))
    // Gone already when something earlier in this round ended it.
    guard let connection = slab[handle] else { return }
    switch connection.pointee.phase {
    case .connecting:
      finishConnecting(connection, handle, handler)
    case .open:
      if event.readiness.contains(.writable) { touch(connection, handle) }
      if !event.readiness.isDisjoint(with: [.readable, .hangup]) {
        if event.readiness.contains(.finished) { connection.pointee.flags.insert(.ended) }
        let isHangup = event.readiness.contains(.hangup)
        if isHangup, poller.hasEdges { connection.pointee.flags.formUnion([.ended, .hungUp]) }
        // Listed again in this round already: it has had its share.
        if !connection.pointee.flags.contains(.unread) { read(connection, handle, isHangup: isHangup, handler) }
      }
    case .draining:
      touch(connection, handle)
    case .lingering:
      discardInput(connection, handle)
    case .ending:
      break
    }
  }

  private func serveMailbox(_ handler: any ReactorHandler) {
    mailbox.take(into: &mail)
    guard !mail.isEmpty else { return }
    perform(mail, handler)
    mail.removeAll(keepingCapacity: mail.count <= 1024)
  }

  private func perform(_ items: [Mailbox.Item], _ handler: any ReactorHandler) {
    for item in items {
      switch item {
      case .work(let work): work()
      case .adopt(let descriptor, let peer, let limiter): open(descriptor, peer, limiter, handler)
      }
    }
  }

  private func fireTimers(_ handler: any ReactorHandler) {
    wheel.advance(to: currentTime, into: &dueTimers)
    guard !dueTimers.isEmpty else { return }
    // By index: a handler may schedule, which adds to the wheel but never to this list.
    for index in 0..<dueTimers.count {
      switch dueTimers[index] {
      case .connection(let handle): checkTimeouts(handle, handler)
      case .listener(let number): acceptors[number]?.resume()
      case .buffers:
        isTrimDue = false
        pool.trim()
      case .handler(let token): handler.timerFired(token: token, now: currentTime)
      }
    }
    dueTimers.removeAll(keepingCapacity: true)
  }

  /// The last round: does what was still posted, then closes everything.
  private func end(_ handler: any ReactorHandler) {
    isEnding = true
    lifecycle.store(.stopped, ordering: .releasing)
    perform(mailbox.close(), handler)
    for acceptor in acceptors.values { acceptor.close() }
    settleTouched(handler)
    // A handler's `closed` may end others of the list on the way.
    for handle in slab.handles {
      guard let connection = slab[handle] else { continue }
      if connection.pointee.isAlive {
        connection.pointee.phase = .ending
        connection.pointee.reason = .local
      }
      destroy(handle, handler)
    }
    touched.removeAll()
    resumed.removeAll()
    unread.removeAll()
    self.handler = nil
  }
}
