import Foundation
import Logging
import MartletCore
import Synchronization
import Testing

@testable import MartletServer

/// A clock that stands until it is moved.
private final class Clock: Sendable {
  let nanoseconds = Atomic<UInt64>(1_764_030_609_000_000_000)
}

private func messages(_ pipe: Pipe) -> [String] {
  try? pipe.fileHandleForWriting.close()
  let bytes = (try? pipe.fileHandleForReading.readToEnd()) ?? nil
  return String(decoding: bytes ?? Data(), as: UTF8.self).split(separator: "\n").map(String.init)
}

@Suite("Log sink")
struct LogSinkTests {
  private func sink(_ pipe: Pipe, rate: Int, clock: Clock) -> LogSink {
    LogSink(
      descriptor: pipe.fileHandleForWriting.fileDescriptor, format: .text, linesPerSecond: rate,
      now: { clock.nanoseconds.load(ordering: .relaxed) })
  }

  @Test("lines over the rate are dropped, and a line says how many")
  func rate() {
    let (pipe, clock) = (Pipe(), Clock())
    let sink = sink(pipe, rate: 3, clock: clock)
    for number in 0..<10 { sink.take(level: .info, label: "l", message: "m\(number)", metadata: [:]) }
    sink.flush()
    clock.nanoseconds.add(1_000_000_000, ordering: .relaxed)
    sink.take(level: .info, label: "l", message: "later", metadata: [:])
    sink.flush()
    let lines = messages(pipe)
    #expect(lines.count == 5)
    #expect(lines[0].hasSuffix(" l: m0"))
    #expect(lines[2].hasSuffix(" l: m2"))
    #expect(lines[3].hasSuffix(" warning  martlet.log: log lines were dropped lines=7"))
    #expect(lines[4].hasSuffix(" l: later"))
    #expect(counts(sink) == ["written": 5, "dropped": 7, "failed": 0])
  }

  private func counts(_ sink: LogSink) -> [String: Double] {
    var collector = MetricCollector()
    sink.collect(into: &collector)
    return Dictionary(
      uniqueKeysWithValues: collector.samples.map { sample in
        guard case .number(let value) = sample.value else { return ("", -1) }
        return (sample.labels[0].value, value)
      })
  }

  @Test("lines that a full disk does not take are counted, and the next are tried again")
  func fullDisk() throws {
    let descriptor = open("/dev/full", O_WRONLY)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    let sink = LogSink(descriptor: descriptor, format: .text, linesPerSecond: 100)
    for number in 0..<10 { sink.take(level: .info, label: "l", message: "m\(number)", metadata: [:]) }
    sink.flush()
    #expect(counts(sink) == ["written": 0, "dropped": 0, "failed": 10])
  }

  @Test("a reader that stands still costs lines, never the time of a caller")
  func blockedReader() async {
    let (pipe, clock) = (Pipe(), Clock())
    let sink = sink(pipe, rate: 1_000_000, clock: clock)
    let message = String(repeating: "x", count: 1000)
    // 64 KiB fit into the pipe and 1,024 lines into the backlog, so this would never return if callers waited.
    for _ in 0..<3000 { sink.take(level: .info, label: "l", message: message, metadata: [:]) }
    // A reader of its own, since the writer goes on only as fast as it reads.
    let received = await withCheckedContinuation { continuation in
      Thread.detachNewThread {
        var lines = 0
        var said = ""
        let reading = pipe.fileHandleForReading.fileDescriptor
        var buffer = [UInt8](repeating: 0, count: 65_536)
        var rest: [UInt8] = []
        while said.isEmpty {
          let count = read(reading, &buffer, buffer.count)
          guard count > 0 else { break }
          rest += buffer[..<count]
          while let end = rest.firstIndex(of: 0x0A) {
            let line = String(decoding: rest[..<end], as: UTF8.self)
            rest.removeSubrange(...end)
            if line.contains("were dropped") { said = line } else { lines += 1 }
          }
        }
        continuation.resume(returning: (lines, said))
      }
    }
    let dropped = Int(received.1.split(separator: "=").last ?? "")
    #expect(received.0 + (dropped ?? 0) == 3000)
    #expect(received.0 >= LogSink.maximumBacklog)
    #expect(received.0 < 3000)
  }

  @Test("many threads never take more than the rate allows, and every line is whole")
  func threads() async {
    let (pipe, clock) = (Pipe(), Clock())
    let sink = sink(pipe, rate: 100, clock: clock)
    await withTaskGroup(of: Void.self) { group in
      for task in 0..<8 {
        group.addTask {
          for number in 0..<100 {
            sink.take(level: .info, label: "l", message: "t", metadata: ["n": "\(task * 100 + number)"])
          }
        }
      }
    }
    sink.flush()
    let lines = messages(pipe)
    #expect(lines.filter { $0.contains(" l: t n=") }.count == 100)
    #expect(lines.last?.hasSuffix("lines=700") == true)
  }

  @Test("a descriptor that nobody reads any more loses lines and nothing else")
  func closedReader() throws {
    signal(SIGPIPE, SIG_IGN)
    let (pipe, clock) = (Pipe(), Clock())
    try pipe.fileHandleForReading.close()
    let sink = sink(pipe, rate: 100, clock: clock)
    for _ in 0..<10 { sink.take(level: .info, label: "l", message: "m", metadata: [:]) }
    sink.flush()
  }

  @Test("loggers write at their level and above, with metadata of logger and line")
  func loggers() throws {
    let pipe = Pipe()
    var configuration = ServerConfiguration.Logging()
    configuration.format = .json
    configuration.level = .notice
    let logging = ServerLogging(configuration, descriptor: pipe.fileHandleForWriting.fileDescriptor)
    var logger = logging.logger(label: "martlet.test")
    logger[metadataKey: "reactor"] = "1"
    logger.info("quiet")
    logger.error("loud", metadata: ["model": "a"])
    logging.flush()
    let lines = messages(pipe)
    #expect(lines.count == 1)
    let object = try #require(
      try JSONSerialization.jsonObject(with: Data(lines[0].utf8)) as? [String: String])
    #expect(object["message"] == "loud")
    #expect(object["model"] == "a")
    #expect(object["reactor"] == "1")
    #expect(object["level"] == "error")
  }
}
