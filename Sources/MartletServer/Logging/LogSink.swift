import Dispatch
import Glibc
import Logging
import MartletCore
import Synchronization

/// Writes lines from any thread to a descriptor without making that thread wait: a serial Dispatch queue formats and
/// writes, at most so many lines wait for it, and at most so many are taken in a second. What is left out is counted,
/// and a line says how many there were.
final class LogSink: MetricSource {
  /// Lines that may wait while the descriptor blocks.
  static let maximumBacklog = 1024

  private let descriptor: Int32
  /// Whether lines are JSON.
  private let isJSON: Atomic<Bool>
  private let linesPerSecond: Atomic<UInt64>
  /// The least level that is written, as its place among all.
  private let leastLevel: Atomic<Int>
  private let now: @Sendable () -> UInt64
  private let queue = DispatchQueue(label: "martlet.log", qos: .utility)
  private let waiting = Atomic<Int>(0)
  /// Lines left out that no line has told of yet.
  private let dropped = Atomic<UInt64>(0)
  private let droppedInAll = Atomic<UInt64>(0)
  private let written = Atomic<UInt64>(0)
  private let failed = Atomic<UInt64>(0)
  /// The second in the upper half, the lines that were taken in it in the lower; one word, so that no thread locks.
  private let window = Atomic<UInt64>(0)

  /// - Parameters:
  ///   - descriptor: where lines go; stays the caller's.
  ///   - now: nanoseconds since 1970.
  init(
    descriptor: Int32, format: ServerConfiguration.Logging.Format, linesPerSecond: Int, level: Logger.Level = .info,
    now: @escaping @Sendable () -> UInt64 = LogSink.wallClock
  ) {
    self.descriptor = descriptor
    isJSON = Atomic(format == .json)
    self.linesPerSecond = Atomic(UInt64(linesPerSecond))
    leastLevel = Atomic(Self.place(of: level))
    self.now = now
  }

  /// The least level that is written; loggers ask for it at each line.
  var level: Logger.Level { Logger.Level.allCases[leastLevel.load(ordering: .relaxed)] }

  /// Writes the lines from here on by other settings.
  func apply(format: ServerConfiguration.Logging.Format, linesPerSecond: Int, level: Logger.Level) {
    isJSON.store(format == .json, ordering: .relaxed)
    self.linesPerSecond.store(UInt64(linesPerSecond), ordering: .relaxed)
    leastLevel.store(Self.place(of: level), ordering: .relaxed)
  }

  private static func place(of level: Logger.Level) -> Int { Logger.Level.allCases.firstIndex(of: level) ?? 0 }

  static func wallClock() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
  }

  /// Takes a line or drops it; returns at once either way.
  func take(level: Logger.Level, label: String, message: String, metadata: Logger.Metadata) {
    let time = now()
    guard isWithinRate(time), enter() else {
      droppedInAll.add(1, ordering: .relaxed)
      // Whoever drops the first one sees to it that the number is told, also when nothing is logged afterwards.
      if dropped.add(1, ordering: .relaxed).oldValue == 0 {
        queue.asyncAfter(deadline: .now() + .seconds(1)) { self.tellDropped() }
      }
      return
    }
    let line = LogLine(time: time, level: level, label: label, message: message, metadata: metadata)
    queue.async {
      self.waiting.subtract(1, ordering: .relaxed)
      self.write(line)
    }
  }

  /// Waits until everything taken so far is written, a second at most.
  func flush() {
    let done = DispatchSemaphore(value: 0)
    queue.async {
      self.tellDropped()
      done.signal()
    }
    _ = done.wait(timeout: .now() + .seconds(1))
  }

  func collect(into collector: inout MetricCollector) {
    for (result, count) in [
      ("written", written.load(ordering: .relaxed)), ("dropped", droppedInAll.load(ordering: .relaxed)),
      ("failed", failed.load(ordering: .relaxed)),
    ] {
      collector.counter(
        "martlet_log_lines_total",
        help: "Log lines: written, dropped over logging.lines_per_second or for a slow reader, failed to write.",
        labels: [(name: "result", value: result)], count)
    }
  }

  private func enter() -> Bool {
    if waiting.add(1, ordering: .relaxed).oldValue < Self.maximumBacklog { return true }
    waiting.subtract(1, ordering: .relaxed)
    return false
  }

  private func isWithinRate(_ time: UInt64) -> Bool {
    let second = (time / 1_000_000_000) & 0xFFFF_FFFF
    var known = window.load(ordering: .relaxed)
    while true {
      let count = known >> 32 == second ? known & 0xFFFF_FFFF : 0
      guard count < linesPerSecond.load(ordering: .relaxed) else { return false }
      let (exchanged, original) = window.compareExchange(
        expected: known, desired: second << 32 | (count + 1), ordering: .relaxed)
      if exchanged { return true }
      known = original
    }
  }

  // MARK: On the queue

  private func tellDropped() {
    let count = dropped.exchange(0, ordering: .relaxed)
    guard count > 0 else { return }
    write(
      LogLine(
        time: now(), level: .warning, label: "martlet.log", message: "log lines were dropped",
        metadata: ["lines": "\(count)"]))
  }

  private func write(_ line: LogLine) {
    if put(line) { written.add(1, ordering: .relaxed) } else { failed.add(1, ordering: .relaxed) }
  }

  /// False when the descriptor did not take the whole line.
  private func put(_ line: LogLine) -> Bool {
    let bytes = isJSON.load(ordering: .relaxed) ? line.json() : line.text()
    return bytes.withUnsafeBytes { buffer in
      var rest = buffer[...]
      while !rest.isEmpty {
        let count = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
        if count > 0 {
          rest = rest.dropFirst(count)
        } else if count < 0, errno == EAGAIN {
          var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
          if poll(&wait, 1, 1000) <= 0 { return false }
        } else if count == 0 || errno != EINTR {
          // Nobody reads the log, or its disk is full; there is nowhere to say so but in a metric.
          return false
        }
      }
      return true
    }
  }
}
