import Glibc
import MartletCore
import MartletSockets

/// The server that runs already, as the one that takes over from it sees it. One thread at a time.
final class Predecessor: @unchecked Sendable {
  // `@unchecked Sendable`: used by `Server.start` alone, which may go on on another thread.

  /// Its process.
  let process: Int32
  /// Its listening sockets, for `Listener`s to adopt.
  private(set) var sockets: [InheritedSocket]
  private let channel: DescriptorChannel

  private static let answerTime: Duration = .seconds(5)
  /// It closes its listeners and its admin port in this time.
  private static let releaseTime: Duration = .seconds(10)

  /// Asks the server that listens at `path` for its sockets; nil when there is none.
  ///
  /// Throws `unavailable` when there is one that does not hand over.
  static func find(at path: String) throws(Status) -> Predecessor? {
    guard let channel = try DescriptorChannel.connect(to: path) else { return nil }
    return try Predecessor(channel, path)
  }

  private init(_ channel: consuming DescriptorChannel, _ path: String) throws(Status) {
    func failure(_ what: String) -> Status { Status(.unavailable, "cannot take over at \(path): \(what)") }
    guard channel.peer.user == geteuid() else { throw failure("the server there runs as user \(channel.peer.user)") }
    guard channel.send(HandoverMessage.hello(process: getpid()).encoded()) else {
      throw failure("the server there has gone")
    }
    switch channel.receive(timeout: Self.answerTime, descriptorName: "a socket of the server at \(path)") {
    case .ended: throw failure("the server there ended the connection")
    case .timedOut: throw failure("the server there does not answer")
    case .message(let bytes, let descriptors):
      do {
        switch try HandoverMessage(bytes) {
        case .offer(let process, let supervised) where supervised.count == descriptors.count:
          self.process = process
          sockets = zip(descriptors, supervised).enumerated().map { index, pair in
            pair.0.renamed("socket \(index) of the server at \(path)", isSupervised: pair.1)
          }
        case .refused(let reason): throw failure("the server there says: \(reason)")
        default: throw failure("the server there answers with something else")
        }
      } catch let error as HandoverMessage.Failure {
        if case .version(let version) = error {
          throw failure(
            "the server there speaks version \(version) of the hand-over, this one version \(HandoverMessage.version); "
              + "stop it first")
        }
        throw failure("whoever listens there is no server of this kind")
      } catch let status as Status {
        throw status
      } catch {
        throw failure("\(error)")
      }
    }
    self.channel = channel
  }

  /// The sockets have been adopted, or are not wanted.
  func forgetSockets() { sockets = [] }

  /// Tells it to end, since this process serves, and waits until it has left its ports; false when it did not say so.
  func retire() -> Bool {
    guard channel.send(HandoverMessage.ready.encoded()) else { return false }
    guard case .message(let bytes, _) = channel.receive(timeout: Self.releaseTime, descriptorName: "") else {
      return false
    }
    return (try? HandoverMessage(bytes)) == .released
  }
}
