import MartletCore
import Synchronization

/// Numbers of one reactor's calls; written by its thread, read by scrapes.
public final class RPCStatistics: MetricSource {
  private final class Method: Sendable {
    let service: String
    let method: String
    let succeeded = BucketHistogram.durations()
    /// By code; a lock, since most codes never come and a failure is not the hot path.
    let failed = Mutex<[StatusCode: BucketHistogram]>([:])

    init(service: String, method: String) {
      self.service = service
      self.method = method
    }
  }

  /// How long the calls of one read took to decode, one of several reads sampled.
  public let decode = BucketHistogram.durations()
  public let refusedInvalid = Counter()
  public let refusedDeadline = Counter()
  public let refusedDraining = Counter()
  public let refusedCalls = Counter()
  public let refusedMemory = Counter()
  public let refusedFrame = Counter()
  public let refusedForbidden = Counter()
  /// In the order of the router's entries.
  private let methods: [Method]
  /// The histogram of each method's good calls; an array's elements would be retained for every call.
  nonisolated(unsafe) let succeeded: UnsafeMutablePointer<Unmanaged<BucketHistogram>>
  /// Calls that named no method of ours: one series, since a label must not hold what a caller chose.
  private let unknown = Method(service: "unknown", method: "unknown")

  public init(_ services: [any Service]) {
    methods = services.flatMap { service in service.methods.map { Method(service: service.name, method: $0.name) } }
    succeeded = .allocate(capacity: max(1, methods.count))
    for (index, method) in methods.enumerated() {
      (succeeded + index).initialize(to: .passUnretained(method.succeeded))
    }
  }

  deinit { succeeded.deallocate() }

  /// - Parameter route: the router's number of the method.
  func record(route: Int, code: StatusCode, nanoseconds: UInt64) { record(methods[route], code, nanoseconds) }

  func recordUnknown(code: StatusCode, nanoseconds: UInt64) { record(unknown, code, nanoseconds) }

  private func record(_ method: Method, _ code: StatusCode, _ nanoseconds: UInt64) {
    if code == .ok {
      method.succeeded.observe(nanoseconds)
      return
    }
    let histogram = method.failed.withLock { failed in
      if let known = failed[code] { return known }
      let new = BucketHistogram.durations()
      failed[code] = new
      return new
    }
    histogram.observe(nanoseconds)
    switch code {
    case .invalidArgument: refusedInvalid.add()
    case .permissionDenied: refusedForbidden.add()
    default: break
    }
  }

  public func collect(into collector: inout MetricCollector) {
    for method in methods { collect(method, .ok, method.succeeded, &collector) }
    for method in methods + [unknown] {
      for (code, histogram) in method.failed.withLock({ $0 }) { collect(method, code, histogram, &collector) }
    }
    collector.histogram(
      "martlet_stage_duration_seconds", help: "Time that a stage of a call takes.",
      labels: [(name: "stage", value: "decode")], decode)
    for (reason, counter) in [
      ("invalid", refusedInvalid), ("deadline", refusedDeadline), ("draining", refusedDraining),
      ("calls_in_flight", refusedCalls), ("memory", refusedMemory), ("forbidden", refusedForbidden),
      ("frame_bytes", refusedFrame),
    ] {
      collector.counter(
        "martlet_refused_total", help: "Calls refused before they were scored.",
        labels: [(name: "reason", value: reason)], counter.value)
    }
  }

  private func collect(
    _ method: Method, _ code: StatusCode, _ histogram: BucketHistogram, _ collector: inout MetricCollector
  ) {
    let labels = [
      (name: "protocol", value: "ttrpc"), (name: "service", value: method.service),
      (name: "method", value: method.method), (name: "code", value: code.name),
    ]
    let calls = histogram.bucketCounts.reduce(0, +)
    collector.counter("martlet_rpc_calls_total", help: "Calls answered.", labels: labels, calls)
    guard calls > 0 else { return }
    collector.histogram(
      "martlet_rpc_call_duration_seconds", help: "Time from reading a call to writing its answer.", labels: labels,
      histogram)
  }
}
