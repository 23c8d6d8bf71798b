import Glibc
import MartletLoad

/// The line on standard error that says how a running load does; nothing unless that is a terminal.
struct LoadLiveLine {
  private let task: Task<Void, Never>?

  /// Begins to show.
  init(_ progress: LoadProgress) {
    guard isatty(STDERR_FILENO) == 1 else {
      task = nil
      return
    }
    task = Task {
      while true {
        do { try await Task.sleep(for: .milliseconds(500)) } catch { return }
        Self.write("\r" + progress.look().line + "\u{1b}[K")
      }
    }
  }

  /// Takes the line away.
  func finish() async {
    guard let task else { return }
    task.cancel()
    await task.value
    Self.write("\r\u{1b}[K")
  }

  static func write(_ text: String) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let written = rest.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
      if written < 0, errno == EINTR { continue }
      guard written > 0 else { return }
      rest = rest.dropFirst(written)
    }
  }
}
