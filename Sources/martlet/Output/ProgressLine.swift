import Glibc
import MartletCore

/// A line on standard error that says how far a long work is; nothing unless that is a terminal.
struct ProgressLine {
  private let isShown: Bool
  private let start = MonotonicTime.now()
  private var last: MonotonicTime?

  init(isShown: Bool) { self.isShown = isShown }

  /// Whether there is somebody to see it who does not see the rows themselves.
  static var isUseful: Bool { isatty(STDERR_FILENO) == 1 && isatty(STDOUT_FILENO) == 0 }

  mutating func update(rows: Int, rejected: Int) {
    guard isShown else { return }
    let now = MonotonicTime.now()
    if let last, now.nanoseconds(since: last) < 200_000_000 { return }
    last = now
    show(Self.text(rows: rows, rejected: rejected, nanoseconds: now.nanoseconds(since: start)))
  }

  mutating func finish() {
    guard isShown, last != nil else { return }
    last = nil
    show("")
  }

  static func text(rows: Int, rejected: Int, nanoseconds: UInt64) -> String {
    let rate = nanoseconds > 0 ? Int(Double(rows + rejected) * 1e9 / Double(nanoseconds)) : 0
    return "\(grouped(rows)) rows scored" + (rejected > 0 ? ", \(grouped(rejected)) rejected" : "")
      + ", \(grouped(rate)) rows/s"
  }

  /// A number with its thousands apart.
  static func grouped(_ number: Int) -> String {
    var text = String(number)
    var index = text.count - 3
    while index > 0 {
      text.insert(",", at: text.index(text.startIndex, offsetBy: index))
      index -= 3
    }
    return text
  }

  private func show(_ text: String) {
    // Back to the line's beginning, the text, and what an older text leaves behind it cleared.
    let bytes = Array("\r\(text)\u{1b}[K".utf8)
    _ = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
}
