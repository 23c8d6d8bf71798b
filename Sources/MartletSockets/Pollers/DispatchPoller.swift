import Dispatch
import Glibc
import MartletCore
import Synchronization

/// A `DispatchSource` for each descriptor on one serial queue; the end of a round is a queued block.
final class DispatchPoller: Poller, @unchecked Sendable {
  // `@unchecked Sendable`: all but `wake` is confined to the serial queue.

  private final class Watched {
    var read: (any DispatchSourceRead)?
    var write: (any DispatchSourceWrite)?
    /// A source that is suspended must be resumed before it is let go.
    var interest: Interest = []
  }

  private let queue: DispatchQueue
  private let key = DispatchSpecificKey<Bool>()
  private var watched: [Int32: Watched] = [:]
  private var delegate: (any PollerDelegate)?
  private var timer: (any DispatchSourceTimer)?
  private var isInRound = false
  private var isEnding = false
  private let isWakePending = Atomic<Bool>(false)

  init(name: String) {
    queue = DispatchQueue(label: name, qos: .userInitiated)
    queue.setSpecific(key: key, value: true)
  }

  var isOnThread: Bool { delegate == nil || DispatchQueue.getSpecific(key: key) == true }

  func start(_ delegate: any PollerDelegate) {
    // The delegate is used on the queue only.
    nonisolated(unsafe) let delegate = delegate
    queue.async {
      self.delegate = delegate
      let timer = DispatchSource.makeTimerSource(queue: self.queue)
      timer.setEventHandler { [weak self] in self?.beginRound() }
      timer.schedule(deadline: .distantFuture)
      timer.activate()
      self.timer = timer
      self.beginRound()
    }
  }

  private func beginRound() {
    guard !isInRound, !isEnding, let delegate else { return }
    isInRound = true
    delegate.roundBegan()
    queue.async { self.endRound() }
  }

  private func endRound() {
    guard let delegate, !isEnding else { return }
    isInRound = false
    let wait = delegate.roundEnded()
    if isEnding {
      timer?.cancel()
      timer = nil
      self.delegate = nil
      delegate.pollerEnded()
      return
    }
    switch wait {
    case .none: queue.async { self.beginRound() }
    case .forever: timer?.schedule(deadline: .distantFuture)
    case .until(let time):
      timer?.schedule(deadline: .init(uptimeNanoseconds: time.nanoseconds), leeway: .microseconds(500))
    }
  }

  func watch(_ descriptor: Int32, token: UInt64, interest: Interest) {
    let entry = watched[descriptor] ?? Watched()
    watched[descriptor] = entry
    if interest.contains(.read) != entry.interest.contains(.read) {
      if interest.contains(.read) {
        if entry.read == nil {
          let source = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: queue)
          source.setEventHandler { [weak self] in self?.ready(token, readable: true) }
          source.activate()
          entry.read = source
        } else {
          entry.read?.resume()
        }
      } else {
        entry.read?.suspend()
      }
    }
    if interest.contains(.write) != entry.interest.contains(.write) {
      if interest.contains(.write) {
        if entry.write == nil {
          let source = DispatchSource.makeWriteSource(fileDescriptor: descriptor, queue: queue)
          source.setEventHandler { [weak self] in self?.ready(token, writable: true) }
          source.activate()
          entry.write = source
        } else {
          entry.write?.resume()
        }
      } else {
        entry.write?.suspend()
      }
    }
    entry.interest = interest
  }

  private func ready(_ token: UInt64, readable: Bool = false, writable: Bool = false) {
    guard !isEnding else { return }
    beginRound()
    delegate?.ready(token: token, readable: readable, writable: writable, failed: false)
  }

  func close(_ descriptor: Int32) {
    guard let entry = watched.removeValue(forKey: descriptor) else {
      _ = Glibc.close(descriptor)
      return
    }
    // The number may be used again as soon as it is closed, so both sources must have let go of it first.
    let sources: [any DispatchSourceProtocol] = [entry.read as (any DispatchSourceProtocol)?, entry.write].compactMap {
      $0
    }
    let closer = Closer(descriptor, waiting: sources.count)
    if let read = entry.read {
      read.setCancelHandler { closer.sourceEnded() }
      read.cancel()
      if !entry.interest.contains(.read) { read.resume() }
    }
    if let write = entry.write {
      write.setCancelHandler { closer.sourceEnded() }
      write.cancel()
      if !entry.interest.contains(.write) { write.resume() }
    }
    if sources.isEmpty { _ = Glibc.close(descriptor) }
  }

  func wake() {
    guard !isWakePending.exchange(true, ordering: .acquiringAndReleasing) else { return }
    queue.async {
      self.isWakePending.store(false, ordering: .releasing)
      self.beginRound()
    }
  }

  func end() { isEnding = true }

  /// Closes a descriptor when the last source has let go of it; on the serial queue.
  private final class Closer: @unchecked Sendable {
    // `@unchecked Sendable`: cancel handlers run on the poller's serial queue.
    private let descriptor: Int32
    private var waiting: Int

    init(_ descriptor: Int32, waiting: Int) {
      self.descriptor = descriptor
      self.waiting = waiting
    }

    func sourceEnded() {
      waiting -= 1
      if waiting == 0 { _ = Glibc.close(descriptor) }
    }
  }
}
