import Histogram
import MartletClient
import MartletCore
import MartletSockets

/// One thread that sends the calls of a plan at their time and takes the answers: the I/O around `LoadSchedule` and
/// `LoadRecorder`.
///
/// It waits in the kernel while the next call is far and polls without waiting while it is near, since a timer is
/// some milliseconds late. So at a few hundred calls a second and more an open loop keeps one core busy, which is what
/// sending within microseconds of the schedule takes.
final class LoadDriver: @unchecked Sendable {
  // Unchecked: everything below the channel is touched on the channel's thread only, or before it starts and after it
  // has stopped.

  /// How the run of a driver ended.
  struct Outcome: Sendable {
    var recorder: LoadRecorder
    /// When sending ended: as planned, or when the run was stopped.
    var end: MonotonicTime
    var endedEarly: Bool
    var reconnects: UInt64
  }

  /// One connection, which is opened again when it ends.
  private struct Lane {
    var handle: ConnectionHandle?
    var isOpen = false
    var inFlight = 0
    var failures = 0
    /// Takes no calls and is opened anew when its last one has ended.
    var isRetiring = false
    var lastRetired = MonotonicTime(nanoseconds: 0)
    /// When to open it again; set while it has no handle.
    var retryAt: MonotonicTime?
  }

  private enum Phase {
    case connecting(CheckedContinuation<Result<Void, ClientError>, Never>)
    case ready
    case sending(CheckedContinuation<Outcome, Never>)
    case draining(CheckedContinuation<Outcome, Never>, deadline: MonotonicTime)
    case done
  }

  private static let tickNanoseconds: UInt64 = 20_000_000
  /// How long before its time a call is waited for by polling: more than a timer of the reactor is late.
  private static let pollingNanoseconds: UInt64 = 4_000_000
  private static let publishNanoseconds: UInt64 = 200_000_000
  /// Sends in one round, so that answers are read in between.
  private static let sendsPerRound = 256
  /// A connection with more unsent bytes than this takes no further call.
  private static let maximumUnsentBytes = 256 << 10
  /// A connection is given up for what its server says at most so often: it may say the same on every one.
  private static let retiringNanoseconds: UInt64 = 100_000_000
  private static let maximumRetryNanoseconds: UInt64 = 1_000_000_000

  private enum Token {
    static let tick: UInt64 = 1
    static let wake: UInt64 = 2
  }

  private let thread: Int
  private let plan: LoadPlan
  private let calls: CallSet
  private let address: SocketAddress
  private let progress: LoadProgress
  private let channel: CallChannel

  private var phase = Phase.done
  private var lanes: [Lane]
  private var nextLane = 0
  private let mostPerLane: Int
  private var slots: CallSlots
  private var nextFrame: Int
  private var reconnects: UInt64 = 0
  private var hasWake = false

  private var schedule: LoadSchedule?
  private var nextDue = MonotonicTime.distantFuture
  /// When the driver last had a call that was due and no room for it.
  private var lastBlocked = MonotonicTime(nanoseconds: 0)
  private var start = MonotonicTime(nanoseconds: 0)
  private var end = MonotonicTime(nanoseconds: 0)
  private var endedEarly = false
  private var recorder = LoadRecorder(from: .distantFuture, until: .distantFuture)
  private let timeoutNanoseconds: UInt64

  private var recent = LoadProgress.histogram()
  private var recentFinished: UInt64 = 0
  private var recentErrors: UInt64 = 0
  private var lastPublished = MonotonicTime(nanoseconds: 0)

  /// - Parameters:
  ///   - plan: this thread's share.
  ///   - phase: where in a gap a constant schedule begins, 0..<1.
  init(
    thread: Int, plan: LoadPlan, phase: Double, calls: CallSet, address: SocketAddress, progress: LoadProgress
  ) {
    self.thread = thread
    self.plan = plan
    self.calls = calls
    self.address = address
    self.progress = progress
    var limits = SocketLimits()
    // A server that stands still is what a load may be there to see: the calls' timeout ends the wait, not these.
    limits.writeTimeout = .zero
    limits.idleTimeout = .zero
    limits.frameTimeout = .zero
    channel = CallChannel(limits: limits)
    lanes = Array(repeating: Lane(), count: plan.connections)
    let inFlight: Int
    switch plan.pace {
    case .closed(let concurrency): inFlight = concurrency
    case .open(let rate, let arrivals):
      inFlight = plan.maximumInFlight
      schedule = LoadSchedule(rate: rate, arrivals: arrivals, seed: plan.seed, phase: phase)
    }
    mostPerLane = (inFlight + plan.connections - 1) / plan.connections
    slots = CallSlots(capacity: inFlight)
    timeoutNanoseconds = plan.timeout.wholeNanoseconds
    // Threads begin at different calls.
    nextFrame = thread * 7919 % calls.frames.count
  }

  // MARK: Any thread

  /// Opens all connections; fails with the first that cannot be opened.
  func connect() async -> Result<Void, ClientError> {
    channel.start(delegate: self)
    return await withCheckedContinuation { continuation in
      channel.post { [self] in
        phase = .connecting(continuation)
        for lane in lanes.indices { open(lane) }
        channel.schedule(at: .now().advanced(byNanoseconds: Self.tickNanoseconds), token: Token.tick)
      }
    }
  }

  /// Sends from `start` on, for the plan's warm-up and duration, and returns when the last call has ended.
  func run(from start: MonotonicTime) async -> Outcome {
    await withCheckedContinuation { continuation in
      channel.post { [self] in begin(at: start, continuation) }
    }
  }

  func stop() { channel.stop() }

  // MARK: The channel's thread

  private func begin(at time: MonotonicTime, _ continuation: CheckedContinuation<Outcome, Never>) {
    start = time
    let from = time.advanced(by: plan.warmup)
    end = from.advanced(by: plan.duration)
    recorder = LoadRecorder(from: from, until: end)
    if schedule != nil { advanceSchedule() }
    lastPublished = time
    phase = .sending(continuation)
    scheduleWake(at: time)
  }

  private func advanceSchedule() {
    nextDue = start.advanced(byNanoseconds: schedule?.next() ?? 0)
  }

  /// Sends what is due and moves the phase on; true when the next step should follow without waiting.
  private func step() -> Bool {
    switch phase {
    case .connecting, .ready, .done: return false
    case .sending(let continuation):
      let now = MonotonicTime.now()
      publish(now)
      if progress.isStopped, now < end {
        end = now
        endedEarly = true
      }
      let goesOn = plan.pace.isOpen ? sendDue(now) : refill(now)
      // Calls that were due and found no room may still leave: they count from their time.
      let isOver = !plan.pace.isOpen || nextDue >= end || endedEarly
      if now >= end, isOver || now.nanoseconds(since: end) >= timeoutNanoseconds {
        loseUnsent(now)
        phase = .draining(continuation, deadline: now.advanced(byNanoseconds: timeoutNanoseconds))
        return step()
      }
      return goesOn
    case .draining(let continuation, let deadline):
      let now = MonotonicTime.now()
      publish(now)
      guard slots.inFlight == 0 || now >= deadline else { return false }
      expire(before: .distantFuture, at: now)
      phase = .done
      continuation.resume(
        returning: Outcome(recorder: recorder, end: end, endedEarly: endedEarly, reconnects: reconnects))
      return false
    }
  }

  // MARK: Open loop

  /// Sends the calls whose time has come, as far as there is room.
  private func sendDue(_ now: MonotonicTime) -> Bool {
    guard now >= start else { return wait(for: start, now) }
    var time = now
    var sends = 0
    while nextDue <= time, nextDue < end {
      guard sends < Self.sendsPerRound else { return true }
      guard !slots.isFull, let lane = freeLane() else {
        lastBlocked = time
        // An answer, a writable socket or the tick makes room; each of them ends in another step.
        return false
      }
      guard send(scheduled: nextDue, at: time, lane: lane, heldBack: nextDue <= lastBlocked) else { continue }
      advanceSchedule()
      sends += 1
      time = .now()
    }
    return wait(for: min(nextDue, end), time)
  }

  /// True when `time` is so near that it is waited for by polling; else makes sure to be woken before it.
  private func wait(for time: MonotonicTime, _ now: MonotonicTime) -> Bool {
    if time.nanoseconds(since: now) <= Self.pollingNanoseconds { return true }
    scheduleWake(at: MonotonicTime(nanoseconds: time.nanoseconds - Self.pollingNanoseconds))
    return false
  }

  private func scheduleWake(at time: MonotonicTime) {
    guard !hasWake else { return }
    hasWake = true
    channel.schedule(at: time, token: Token.wake)
  }

  // MARK: Closed loop

  /// Sends one call for each that has ended.
  private func refill(_ now: MonotonicTime) -> Bool {
    guard now >= start else { return wait(for: start, now) }
    guard now < end else { return false }
    var time = now
    while !slots.isFull, let lane = freeLane() {
      guard send(scheduled: time, at: time, lane: lane, heldBack: false) else { continue }
      time = .now()
    }
    return false
  }

  // MARK: Calls

  /// The next connection in turn that takes a call; nil when none does.
  private func freeLane() -> Int? {
    for offset in 0..<lanes.count {
      var index = nextLane + offset
      if index >= lanes.count { index -= lanes.count }
      guard lanes[index].isOpen, lanes[index].inFlight < mostPerLane, let handle = lanes[index].handle,
        channel.unsentBytes(on: handle) <= Self.maximumUnsentBytes
      else { continue }
      return index
    }
    return nil
  }

  /// False when the connection takes nothing more; it is then no longer offered.
  private func send(
    scheduled: MonotonicTime, at time: MonotonicTime, lane index: Int, heldBack: Bool
  ) -> Bool {
    guard let handle = lanes[index].handle else { return false }
    let frame = calls.frames[nextFrame]
    switch channel.send(frame, call: slots.next, on: handle) {
    case .sent(let stream):
      slots.open(
        CallSlots.Call(scheduled: scheduled, sent: time, stream: stream, lane: Int32(index), isInFlight: true))
      lanes[index].inFlight += 1
      nextLane = index + 1 == lanes.count ? 0 : index + 1
      nextFrame = nextFrame + 1 == calls.frames.count ? 0 : nextFrame + 1
      recorder.send(scheduled: scheduled, at: time, heldBack: heldBack, bytes: frame.byteCount)
      return true
    case .full, .notOpen:
      lanes[index].isOpen = false
      if lanes[index].retryAt == nil { channel.close(handle) }
      return false
    case .exhausted:
      // The connection's stream numbers are used up: it is opened again when its calls have ended.
      lanes[index].isOpen = false
      if lanes[index].inFlight == 0 { channel.close(handle) }
      return false
    }
  }

  private func ended(_ number: UInt64) -> CallSlots.Call? {
    guard let call = slots.close(number) else { return nil }
    let lane = Int(call.lane)
    lanes[lane].inFlight -= 1
    return call
  }

  private func expire(before time: MonotonicTime, at now: MonotonicTime) {
    for number in slots.sent(before: time) {
      guard let call = ended(number) else { continue }
      if let handle = lanes[Int(call.lane)].handle { channel.forget(stream: call.stream, on: handle) }
      recorder.lose(scheduled: call.scheduled, sent: call.sent, at: now, .timedOut)
      count(isOK: false)
    }
  }

  /// The calls that were due and could not be sent.
  private func loseUnsent(_ now: MonotonicTime) {
    guard plan.pace.isOpen else { return }
    while nextDue < end {
      recorder.lose(scheduled: nextDue, sent: nil, at: now, .neverSent)
      advanceSchedule()
    }
  }

  private func count(isOK: Bool) {
    recentFinished += 1
    if !isOK { recentErrors += 1 }
  }

  private func publish(_ now: MonotonicTime) {
    let span = now.nanoseconds(since: lastPublished)
    guard span >= Self.publishNanoseconds else { return }
    lastPublished = now
    progress.add(
      thread: thread, over: span, recent, finished: recentFinished, errors: recentErrors, inFlight: slots.inFlight)
    recent.reset()
    recentFinished = 0
    recentErrors = 0
  }

  // MARK: Connections

  private func open(_ lane: Int) {
    lanes[lane].retryAt = nil
    do throws(Status) {
      lanes[lane].handle = try channel.connect(to: address)
    } catch {
      failed(lane, ClientError(error.code, error.message, origin: .connection))
    }
  }

  private func lane(of handle: ConnectionHandle) -> Int? { lanes.firstIndex { $0.handle == handle } }

  private func failed(_ lane: Int, _ error: ClientError) {
    lanes[lane].handle = nil
    lanes[lane].isOpen = false
    lanes[lane].failures += 1
    if case .connecting(let continuation) = phase {
      phase = .done
      continuation.resume(returning: .failure(error))
      return
    }
    let wait = min(Self.maximumRetryNanoseconds, 10_000_000 << UInt64(min(lanes[lane].failures, 8)))
    lanes[lane].retryAt = MonotonicTime.now().advanced(byNanoseconds: wait)
  }
}

extension LoadDriver: CallChannelDelegate {
  func connected(_ connection: ConnectionHandle) {
    guard let lane = lane(of: connection) else { return }
    lanes[lane].isOpen = true
    lanes[lane].failures = 0
    if case .connecting(let continuation) = phase {
      guard lanes.allSatisfy(\.isOpen) else { return }
      phase = .ready
      continuation.resume(returning: .success(()))
    } else {
      reconnects += 1
    }
  }

  func completed(_ completion: CallCompletion, payload: RawSpan, message: RawSpan) {
    guard let call = ended(completion.call) else { return }
    recorder.answer(
      scheduled: call.scheduled, sent: call.sent, at: completion.receivedAt, code: completion.code,
      bytes: payload.byteCount)
    count(isOK: completion.code == 0)
    if completion.code == 0 { recent.record(completion.receivedAt.nanoseconds(since: call.scheduled)) }
    retire(Int(call.lane), afterUnavailable: completion.code == StatusCode.unavailable.rawValue)
  }

  /// A server that another one takes over from refuses what comes on its connections: the next one has to be new.
  private func retire(_ lane: Int, afterUnavailable isUnavailable: Bool) {
    if isUnavailable, lanes[lane].isOpen {
      let now = MonotonicTime.now()
      guard now.nanoseconds(since: lanes[lane].lastRetired) > Self.retiringNanoseconds else { return }
      lanes[lane].lastRetired = now
      lanes[lane].isOpen = false
      lanes[lane].isRetiring = true
    }
    if lanes[lane].isRetiring, lanes[lane].inFlight == 0, let handle = lanes[lane].handle { channel.close(handle) }
  }

  func lost(call number: UInt64, on connection: ConnectionHandle, reason: CloseReason) {
    guard let call = ended(number) else { return }
    recorder.lose(scheduled: call.scheduled, sent: call.sent, at: .now(), .disconnected)
    count(isOK: false)
  }

  func closed(_ connection: ConnectionHandle, reason: CloseReason) {
    guard let lane = lane(of: connection) else { return }
    if lanes[lane].isRetiring {
      lanes[lane].isRetiring = false
      lanes[lane].handle = nil
      return open(lane)
    }
    failed(lane, ClientError(.unavailable, "the connection ended: \(reason.name)", origin: .connection))
  }

  func timerFired(token: UInt64, now: MonotonicTime) {
    guard token == Token.tick else {
      hasWake = false
      return
    }
    if case .done = phase { return }
    let now = MonotonicTime.now()
    if now.nanoseconds > timeoutNanoseconds {
      expire(before: MonotonicTime(nanoseconds: now.nanoseconds - timeoutNanoseconds), at: now)
    }
    for lane in lanes.indices {
      if let retryAt = lanes[lane].retryAt, retryAt <= now { open(lane) }
      // One that has used up its stream numbers.
      if let handle = lanes[lane].handle, !lanes[lane].isOpen, lanes[lane].failures == 0, lanes[lane].inFlight == 0 {
        if case .connecting = phase { continue }
        channel.close(handle)
      }
    }
    channel.schedule(at: now.advanced(byNanoseconds: Self.tickNanoseconds), token: Token.tick)
  }

  func roundEnded(now: MonotonicTime) -> Bool { step() }
}
