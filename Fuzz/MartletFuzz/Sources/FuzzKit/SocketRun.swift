import Glibc
import MartletCore
import MartletRepository
import MartletServices
import MartletWire

/// Sends streams to a server process over its sockets, many connections at once, and judges what it answers.
package struct SocketRun {
  private static let block = 500
  private static let connections = 16
  private static let limitNanoseconds: UInt64 = 5_000_000_000
  private static let growthBytes = 8 << 20

  private let streams: Int
  private let seed: UInt64
  private let models: String
  private let server: Int32
  private let targets: [HostileConnection.Target]

  /// - Parameters:
  ///   - models: the directory that the server serves.
  ///   - server: its process.
  package init(streams: Int, seed: UInt64, models: String, server: Int32, targets: [HostileConnection.Target]) {
    self.streams = streams
    self.seed = seed
    self.models = models
    self.server = server
    self.targets = targets
  }

  /// Whether everything held.
  package func run() throws(Status) -> Bool {
    let real = try FuzzModels.real(in: models)
    let served = real.map { ValidCalls.Target(name: $0.name, signature: $0.versions[0].signature) }
    let own = [FuzzModels.mixed, FuzzModels.echo, FuzzModels.numbers]
    let unserved = own.map { ValidCalls.Target(name: $0.name, signature: $0.signature) }
    let calls = ValidCalls(targets: served.isEmpty ? unserved : served)
    var maker = StreamMaker(calls: calls, seed: seed)
    var known = KnownCalls(own: false, real: served)
    let check = AnswerCheck()
    var counts: [String: Int] = [:]
    var failures: [String] = []
    var open: [(connection: HostileConnection, began: MonotonicTime)] = []
    var next = 0
    var bytes = 0
    // Of the server, after each fifth of the streams.
    var memory: [Int] = []
    let began = MonotonicTime.now()
    print("models: \(calls.targets.map(\.name).joined(separator: ", ")); seed \(seed)")

    while failures.isEmpty, next < streams || !open.isEmpty {
      if next < streams, next % Self.block == 0, open.isEmpty || next > 0, let wrong = good(&known, served) {
        failures.append("before stream \(next): \(wrong)")
        break
      }
      while open.count < Self.connections, next < streams {
        let (stream, cuts) = maker.next()
        let target = targets[next % targets.count]
        guard
          let connection = HostileConnection(
            target, number: next, bytes: stream, cuts: cuts, vanishes: maker.vanishes())
        else {
          failures.append("stream \(next): the server does not accept: \(String(cString: strerror(errno)))")
          break
        }
        open.append((connection, .now()))
        bytes += stream.count
        next += 1
        if next % max(streams / 5, 1) == 0 { memory.append(ResidentMemory.bytes(pid: server)) }
        if next % Self.block == 0 { break }
      }
      Self.poll(open.map(\.connection))
      let now = MonotonicTime.now()
      open.removeAll { connection, began in
        if connection.isOpen {
          if now.nanoseconds(since: began) > Self.limitNanoseconds {
            failures.append("stream \(connection.number): no end within \(Self.limitNanoseconds / 1_000_000_000) s")
            return true
          }
          return false
        }
        let frames = connection.frames
        if let expected = connection.expectedAnswers, frames.count != expected {
          failures.append("stream \(connection.number): \(frames.count) answers to \(expected) calls")
        }
        for frame in frames {
          switch frame.withUnsafeBytes({ check.judge($0, method: nil, acceptsAnyResult: true) }) {
          case .fine(let code): counts[code.name, default: 0] += 1
          case .wrong(let reason): failures.append("stream \(connection.number): \(reason)")
          }
        }
        return true
      }
    }
    if failures.isEmpty, let wrong = good(&known, served) { failures.append("at the end: \(wrong)") }
    memory.append(ResidentMemory.bytes(pid: server))
    let seconds = Double(MonotonicTime.now().nanoseconds(since: began)) * 1e-9
    // Buffers, batches and what malloc keeps have grown to their size by then.
    let growth = memory[memory.count - 1] - memory[min(1, memory.count - 1)]
    print("streams            \(next), \(bytes >> 10) KiB, \(text(seconds, 1)) s")
    print(
      "the server's memory \(memory.map { String($0 >> 10) }.joined(separator: ", ")) KiB, a fifth of the streams apart "
        + "(\(growth >> 10) KiB more after the second; at most \(Self.growthBytes >> 10))")
    if growth > Self.growthBytes { failures.append("memory grew by \(growth >> 10) KiB") }
    for (outcome, number) in counts.sorted(by: { $0.value > $1.value }) { print("  \(outcome.padded(28))\(number)") }
    for failure in failures.prefix(20) { print("FAILED: \(failure)") }
    return failures.isEmpty
  }

  private static func poll(_ connections: [HostileConnection]) {
    var polled = connections.map { pollfd(fd: $0.descriptor, events: $0.events, revents: 0) }
    guard Glibc.poll(&polled, nfds_t(polled.count), 100) > 0 else { return }
    for (index, connection) in connections.enumerated() where polled[index].revents != 0 {
      connection.step(polled[index].revents)
    }
  }

  /// What is wrong with the answers to good calls; nil when nothing is.
  private func good(_ known: inout KnownCalls, _ served: [ValidCalls.Target]) -> String? {
    // A stream may have unloaded a model, as anybody on this machine may.
    if let stream = KnownCalls.loading(served.map(\.name)), exchange(stream) == nil { return "loading has no answer" }
    guard let frames = exchange(known.stream) else { return "good calls have no answer" }
    return known.judge(frames)
  }

  private func exchange(_ stream: [UInt8]) -> [[UInt8]]? {
    guard
      let connection = HostileConnection(
        targets[0], number: -1, bytes: stream, cuts: [stream.count], vanishes: false)
    else { return nil }
    let began = MonotonicTime.now()
    while connection.isOpen {
      Self.poll([connection])
      if MonotonicTime.now().nanoseconds(since: began) > Self.limitNanoseconds { return nil }
    }
    return connection.frames
  }
}
