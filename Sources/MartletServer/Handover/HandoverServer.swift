import CLinux
import Foundation
import Glibc
import Logging
import MartletCore
import MartletSockets
import Synchronization

/// What a running server does for one that takes over from it; called on the hand-over's thread.
protocol HandoverOwner: AnyObject, Sendable {
  /// Copies of the listening sockets. Throws why there are none.
  func offer() throws(Status) -> [InheritedSocket]
  /// The new process has ended before it served.
  func withdraw()
  /// The new process serves: returns when this one accepts no more and has left its ports.
  func release(to process: Int32)
}

/// Waits for a process that takes over, and leads it through; one at a time. Any thread.
final class HandoverServer: @unchecked Sendable {
  // `@unchecked Sendable`: `listener` is taken by the thread when it starts.

  private static let helloTime: Duration = .seconds(2)

  private let path: String
  private var listener: DescriptorListener?
  private let owner: any HandoverOwner
  private let logger: Logger
  private let wakeup: Int32
  private let isStopping = Atomic<Bool>(false)
  private let finished = DispatchGroup()

  /// Listens at `path`, in the place of who did before. Throws `unavailable`.
  init(path: String, owner: any HandoverOwner, logger: Logger) throws(Status) {
    self.path = path
    self.owner = owner
    self.logger = logger
    listener = try DescriptorListener(path: path)
    wakeup = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
  }

  deinit { if wakeup >= 0 { close(wakeup) } }

  func start() {
    finished.enter()
    let thread = Thread { [self] in
      martlet_name_thread("martlet-handover")
      run()
      finished.leave()
    }
    thread.start()
  }

  /// Takes nobody any more, calls off what is under way and removes the file; returns when that is done.
  ///
  /// A process that has the sockets already goes on by itself, and its copies are left as they are.
  func stop() {
    isStopping.store(true, ordering: .releasing)
    var one: UInt64 = 1
    _ = write(wakeup, &one, MemoryLayout<UInt64>.size)
    finished.wait()
  }

  /// The process that takes over.
  private final class Applicant {
    let channel: DescriptorChannel

    init(_ channel: consuming DescriptorChannel) { self.channel = channel }
  }

  private func run() {
    guard let listener = self.listener.take() else { return }
    var successor: Applicant?
    while true {
      var watched = [
        pollfd(fd: wakeup, events: Int16(POLLIN), revents: 0),
        pollfd(fd: listener.rawValue, events: Int16(POLLIN), revents: 0),
        pollfd(fd: successor?.channel.rawValue ?? -1, events: Int16(POLLIN), revents: 0),
      ]
      _ = poll(&watched, nfds_t(watched.count), -1)
      if let known = successor, watched[2].revents != 0 {
        let process = known.channel.peer.process
        if isReady(known.channel) {
          logger.notice("handed over", metadata: ["to_process": "\(process)"])
          owner.release(to: process)
          _ = known.channel.send(HandoverMessage.released.encoded())
          // The file is the successor's now.
          return
        }
        logger.warning("the process that was to take over has ended; serving on", metadata: ["process": "\(process)"])
        owner.withdraw()
        successor = nil
      }
      if isStopping.load(ordering: .acquiring) { return listener.removeFile() }
      greetAll(listener, &successor)
    }
  }

  private func isReady(_ channel: borrowing DescriptorChannel) -> Bool {
    guard case .message(let bytes, _) = channel.receive(timeout: .zero, descriptorName: "") else { return false }
    return (try? HandoverMessage(bytes)) == .ready
  }

  /// Takes the first of those that have connected, refuses the others.
  private func greetAll(_ listener: borrowing DescriptorListener, _ successor: inout Applicant?) {
    while let channel = listener.accept() {
      let peer = channel.peer
      if let reason = refusal(of: channel, isTaken: successor != nil) {
        logger.warning(
          "hand-over refused",
          metadata: ["process": "\(peer.process)", "user": "\(peer.user)", "reason": "\(reason)"])
        _ = channel.send(HandoverMessage.refused(reason).encoded())
      } else {
        logger.notice("a new process takes over", metadata: ["process": "\(peer.process)"])
        successor = Applicant(channel)
      }
    }
  }

  /// Gives the sockets to who asks for them; nil when it has them, else why it has not.
  private func refusal(of channel: borrowing DescriptorChannel, isTaken: Bool) -> String? {
    // Read in any case: an end with bytes unread would take the answer away from the peer.
    let event = channel.receive(timeout: Self.helloTime, descriptorName: "")
    guard channel.peer.user == geteuid() else { return "it runs as another user" }
    guard !isTaken else { return "another process is taking over" }
    guard case .message(let bytes, _) = event else { return "it said nothing" }
    do {
      guard case .hello = try HandoverMessage(bytes) else { return "it did not say hello" }
      let sockets = try owner.offer()
      let offer = HandoverMessage.offer(process: getpid(), supervised: sockets.map(\.isSupervised))
      if channel.send(offer.encoded(), descriptors: sockets) { return nil }
      owner.withdraw()
      return "it ended at once"
    } catch HandoverMessage.Failure.version(let version) {
      return "version \(version) of the hand-over is not spoken here, version \(HandoverMessage.version) is"
    } catch let status as Status {
      return status.message
    } catch {
      return "it does not speak the hand-over"
    }
  }
}
