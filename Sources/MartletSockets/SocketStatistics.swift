import MartletCore
import Synchronization

/// Numbers of one reactor's sockets, written by its thread alone and read by any.
public final class SocketStatistics: MetricSource {
  public let reactor: Int
  /// By protocol: 0 TCP, 1 Unix.
  let open = [Counter(), Counter()]
  let accepted = [Counter(), Counter()]
  let bytesIn = [Counter(), Counter()]
  let bytesOut = [Counter(), Counter()]
  let closed = CloseReason.names.map { _ in Counter() }
  let refused = RefusalReason.allCases.map { _ in Counter() }
  let read = BucketHistogram.durations()
  let write = BucketHistogram.durations()
  let loop = BucketHistogram.durations()
  let busyNanoseconds = Counter()
  /// Busy time and clock at the last scrape.
  private let lastScrape = Mutex<(busy: UInt64, time: MonotonicTime)>((0, .now()))

  public init(reactor: Int) { self.reactor = reactor }

  static func index(_ address: SocketAddress) -> Int { address.isUnix ? 1 : 0 }

  public func collect(into collector: inout MetricCollector) {
    for (index, name) in ["tcp", "unix"].enumerated() {
      let label = [(name: "protocol", value: name)]
      collector.gauge("martlet_connections", help: "Open connections.", labels: label, Double(open[index].value))
      collector.counter(
        "martlet_connections_total", help: "Connections accepted.", labels: label, accepted[index].value)
      for (direction, counter) in [("in", bytesIn[index]), ("out", bytesOut[index])] {
        collector.counter(
          "martlet_bytes_total", help: "Bytes read from and written to sockets.",
          labels: label + [(name: "direction", value: direction)], counter.value)
      }
    }
    for (reason, counter) in zip(CloseReason.names, closed) {
      collector.counter(
        "martlet_connections_closed_total", help: "Connections that ended, by why.",
        labels: [(name: "reason", value: reason)], counter.value)
    }
    for (reason, counter) in zip(RefusalReason.allCases, refused) {
      collector.counter(
        "martlet_connections_refused_total", help: "Connections closed as soon as they came, by why.",
        labels: [(name: "reason", value: reason.name)], counter.value)
    }
    for (stage, histogram) in [("read", read), ("write", write)] {
      collector.histogram(
        "martlet_stage_duration_seconds", help: "Time that a stage of a call takes.",
        labels: [(name: "stage", value: stage)], histogram)
    }
    let label = [(name: "reactor", value: String(reactor))]
    collector.histogram(
      "martlet_reactor_loop_duration_seconds", help: "Time of a round, without the wait before it.", labels: label,
      loop)
    let ratio = lastScrape.withLock { last in
      let busy = busyNanoseconds.value
      let now = MonotonicTime.now()
      defer { last = (busy, now) }
      return Double(busy &- last.busy) / Double(max(1, now.nanoseconds(since: last.time)))
    }
    collector.gauge(
      "martlet_reactor_busy_ratio", help: "Share of the time since the last scrape that a reactor worked.",
      labels: label, min(1, ratio))
  }
}
