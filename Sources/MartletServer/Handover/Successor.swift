import CLinux
import Foundation
import Glibc
import Logging
import Synchronization

/// Starts the command that this process was started with once more: the process that takes over. Where the path leads
/// to another release by now, that one runs.
///
/// Under a service manager it is the way to a process in the same control group, with the same limits. Any thread.
public final class Successor: Sendable {
  private let arguments: [String]
  private let isRunning = Atomic<Bool>(false)

  public init(arguments: [String] = CommandLine.arguments) { self.arguments = arguments }

  /// Starts it, unless one that was started runs already; the log tells when it ends before this process does.
  public func start(logger: Logger) {
    guard !isRunning.exchange(true, ordering: .acquiringAndReleasing) else {
      return logger.warning("a new process has been started already")
    }
    var process: pid_t = 0
    var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    let error = martlet_spawn(&pointers, &process)
    guard error == 0 else {
      isRunning.store(false, ordering: .releasing)
      let reason = String(cString: strerror(error))
      return logger.error(
        "cannot start a new process", metadata: ["command": "\(arguments[0])", "reason": "\(reason)"])
    }
    logger.notice("new process started", metadata: ["process": "\(process)"])
    let child = process
    Thread { [self] in
      var status: Int32 = 0
      while waitpid(child, &status, 0) < 0, errno == EINTR {}
      isRunning.store(false, ordering: .releasing)
      let signal = status & 0x7F
      let how = signal == 0 ? "exit status \(status >> 8 & 0xFF)" : "signal \(signal)"
      logger.error("the new process has ended", metadata: ["process": "\(child)", "how": "\(how)"])
    }.start()
  }
}
