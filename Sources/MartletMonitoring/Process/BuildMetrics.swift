import MartletCore

/// Which build runs: `martlet_build_info`, always 1.
public struct BuildMetrics: MetricSource {
  public let version: String
  /// The commit that it was built from, where known.
  public let commit: String?

  public init(version: String, commit: String? = nil) {
    self.version = version
    self.commit = commit
  }

  public func collect(into collector: inout MetricCollector) {
    var labels = [(name: "version", value: version)]
    if let commit { labels.append((name: "commit", value: commit)) }
    collector.gauge("martlet_build_info", help: "The running build; always 1.", labels: labels, 1)
  }
}
