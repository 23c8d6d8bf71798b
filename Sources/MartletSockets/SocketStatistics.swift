import MartletCore
import Synchronization

/// Numbers of one reactor's sockets, written by its thread and read by any.
public final class SocketStatistics: MetricSource {
  /// What is counted by protocol and by the side that opened the connection.
  private struct Cell: Sendable {
    let open = Counter()
    let total = Counter()
  }

  /// When the busy time was last read, and what it was.
  private struct Reading {
    var at: MonotonicTime
    var busy: UInt64 = 0
    var ratio = 0.0
  }

  public let reactor: Int
  /// How long a read and a write took, one of several rounds sampled.
  let read = BucketHistogram.durations()
  let write = BucketHistogram.durations()

  private let tcpIn = Cell()
  private let tcpOut = Cell()
  private let unixIn = Cell()
  private let unixOut = Cell()
  private let tcpBytesIn = Counter()
  private let tcpBytesOut = Counter()
  private let unixBytesIn = Counter()
  private let unixBytesOut = Counter()
  private let closedByReason = CloseReason.names.map { _ in Counter() }
  // Refusals come from the accepting thread and the reactor's, rarely: a lock does.
  private let refusedByReason = Mutex([UInt64](repeating: 0, count: RefusalReason.allCases.count))
  private let rounds = BucketHistogram.durations()
  private let busy = Counter()
  /// Bytes of memory in the buffers of all connections, as of the last round's end.
  let buffered = Counter()
  private let lastReading = Mutex(Reading(at: .now()))

  public init(reactor: Int) { self.reactor = reactor }

  // MARK: - Written on the reactor's thread

  func received(_ bytes: Int, isUnix: Bool) { (isUnix ? unixBytesIn : tcpBytesIn).add(UInt64(bytes)) }

  func sent(_ bytes: Int, isUnix: Bool) { (isUnix ? unixBytesOut : tcpBytesOut).add(UInt64(bytes)) }

  func joined(isUnix: Bool, isOutbound: Bool) {
    let cell = cell(isUnix, isOutbound)
    cell.total.add()
    cell.open.add()
  }

  func left(isUnix: Bool, isOutbound: Bool) {
    let cell = cell(isUnix, isOutbound)
    cell.open.set(cell.open.value - 1)
  }

  func closed(_ reason: CloseReason) { closedByReason[reason.ordinal].add() }

  func recordRound(from start: MonotonicTime, to end: MonotonicTime) {
    let duration = end.nanoseconds(since: start)
    rounds.observe(duration)
    busy.add(duration)
  }

  private func cell(_ isUnix: Bool, _ isOutbound: Bool) -> Cell {
    isUnix ? (isOutbound ? unixOut : unixIn) : (isOutbound ? tcpOut : tcpIn)
  }

  // MARK: - Any thread

  func refused(_ reason: RefusalReason) { refusedByReason.withLock { $0[reason.rawValue] += 1 } }

  /// Incoming connections closed at once for this reason.
  public func refusals(_ reason: RefusalReason) -> UInt64 { refusedByReason.withLock { $0[reason.rawValue] } }

  /// Bytes read from all sockets.
  public var bytesReceived: UInt64 { tcpBytesIn.value + unixBytesIn.value }

  /// Connections that ended for this reason; the value of `reset` and `connectFailed` does not matter.
  public func closures(_ reason: CloseReason) -> UInt64 { closedByReason[reason.ordinal].value }

  /// Share of the time between this call and the last one, at least 0.1 s apart, that the reactor was not waiting.
  private func busyRatio() -> Double {
    lastReading.withLock { last in
      let now = MonotonicTime.now()
      let elapsed = now.nanoseconds(since: last.at)
      guard elapsed >= 100_000_000 else { return last.ratio }
      let busy = busy.value
      last = Reading(at: now, busy: busy, ratio: min(1, Double(busy - last.busy) / Double(elapsed)))
      return last.ratio
    }
  }

  public func collect(into collector: inout MetricCollector) {
    for (cell, network, direction) in [
      (tcpIn, "tcp", "in"), (tcpOut, "tcp", "out"), (unixIn, "unix", "in"), (unixOut, "unix", "out"),
    ] {
      let labels = [(name: "protocol", value: network), (name: "direction", value: direction)]
      collector.gauge(
        "martlet_connections", help: "Open connections by protocol; direction is in for accepted ones.",
        labels: labels, Double(cell.open.value))
      collector.counter(
        "martlet_connections_total", help: "Connections that were opened; direction is in for accepted ones.",
        labels: labels, cell.total.value)
    }
    for (counter, network, direction) in [
      (tcpBytesIn, "tcp", "in"), (tcpBytesOut, "tcp", "out"), (unixBytesIn, "unix", "in"),
      (unixBytesOut, "unix", "out"),
    ] {
      collector.counter(
        "martlet_bytes_total", help: "Bytes read from sockets (in) and written to them (out).",
        labels: [(name: "protocol", value: network), (name: "direction", value: direction)], counter.value)
    }
    for (name, counter) in zip(CloseReason.names, closedByReason) {
      collector.counter(
        "martlet_connections_closed_total", help: "Connections that ended, by reason.",
        labels: [(name: "reason", value: name)], counter.value)
    }
    for reason in RefusalReason.allCases {
      collector.counter(
        "martlet_connections_refused_total", help: "Incoming connections that were closed at once, by reason.",
        labels: [(name: "reason", value: reason.name)], refusals(reason))
    }
    for (stage, histogram) in [("read", read), ("write", write)] {
      collector.histogram(
        "martlet_stage_duration_seconds", help: "Time that a stage of a call took.",
        labels: [(name: "stage", value: stage)], histogram)
    }
    let labels = [(name: "reactor", value: String(reactor))]
    collector.gauge(
      "martlet_buffer_bytes", help: "Memory of the read and write buffers of a reactor's connections.", labels: labels,
      Double(buffered.value))
    collector.histogram(
      "martlet_reactor_loop_duration_seconds", help: "Time of a reactor's round, without its wait.", labels: labels,
      rounds)
    collector.gauge(
      "martlet_reactor_busy_ratio", help: "Share of the time since the last scrape that the reactor did not wait.",
      labels: labels, busyRatio())
  }
}
