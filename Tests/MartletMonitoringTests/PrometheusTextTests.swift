import Foundation
import MartletCore
import Testing

@testable import MartletMonitoring

/// A source that says what the closure says.
struct Source: MetricSource {
  let say: @Sendable (inout MetricCollector) -> Void
  init(_ say: @escaping @Sendable (inout MetricCollector) -> Void) { self.say = say }
  func collect(into collector: inout MetricCollector) { say(&collector) }
}

private let promtool = ["/usr/bin/promtool", "/usr/local/bin/promtool"].first {
  FileManager.default.isExecutableFile(atPath: $0)
}

@Suite("Prometheus text")
struct PrometheusTextTests {
  @Test("families stand in order, each with its help and type once, samples ordered by their labels")
  func order() {
    let text = PrometheusText.render([
      Source { $0.gauge("b", help: "Bees.", 2.5) },
      Source { $0.counter("a_total", help: "As.", labels: [("x", "2")], 1) },
      Source { $0.counter("a_total", help: "As.", labels: [("x", "1")], 7) },
    ])
    #expect(
      text == """
        # HELP a_total As.
        # TYPE a_total counter
        a_total{x="1"} 7
        a_total{x="2"} 1
        # HELP b Bees.
        # TYPE b gauge
        b 2.5

        """)
  }

  @Test("samples with the same name and labels are added up, in whatever order the labels come")
  func sums() {
    let text = PrometheusText.render([
      Source { $0.counter("c_total", help: "Cs.", labels: [("m", "x"), ("k", "y")], 40) },
      Source { $0.counter("c_total", help: "Cs.", labels: [("k", "y"), ("m", "x")], 2) },
      Source { $0.gauge("g", help: "Gs.", 1) }, Source { $0.gauge("g", help: "Gs.", 2) },
    ])
    #expect(text.contains("c_total{k=\"y\",m=\"x\"} 42\n"))
    #expect(text.contains("\ng 3\n"))
  }

  @Test("the buckets of a histogram are cumulative, with +Inf, sum and count, and add up bucket by bucket")
  func histograms() {
    let one = BucketHistogram(bounds: [10_000, 20_000, 1_000_000_000], scale: 1e-9)
    let two = BucketHistogram(bounds: [10_000, 20_000, 1_000_000_000], scale: 1e-9)
    one.observe(10_000)
    one.observe(15_000)
    two.observe(15_000)
    two.observe(2_000_000_000)
    let text = PrometheusText.render(
      [one, two].map { histogram in
        Source { $0.histogram("d_seconds", help: "Ds.", labels: [("s", "q")], histogram) }
      })
    #expect(
      text == """
        # HELP d_seconds Ds.
        # TYPE d_seconds histogram
        d_seconds_bucket{s="q",le="1e-05"} 1
        d_seconds_bucket{s="q",le="2e-05"} 3
        d_seconds_bucket{s="q",le="1"} 3
        d_seconds_bucket{s="q",le="+Inf"} 4
        d_seconds_sum{s="q"} \(25_000 * 1e-9 + 2_000_015_000 * 1e-9)
        d_seconds_count{s="q"} 4

        """)
  }

  @Test("the bounds of durations are shown as people write them")
  func durationBounds() {
    let text = PrometheusText.render([Source { $0.histogram("d_seconds", help: "Ds.", .durations()) }])
    let bounds = text.matches(of: /le="([^"]*)"/).map { String($0.1) }
    #expect(
      bounds == [
        "1e-05", "2e-05", "5e-05", "0.0001", "0.0002", "0.0005", "0.001", "0.002", "0.005", "0.01", "0.02", "0.05",
        "0.1", "0.2", "0.5", "1", "2", "5", "+Inf",
      ])
  }

  @Test("backslashes, quotes and line ends of label values and helps are escaped")
  func escaping() {
    let text = PrometheusText.render([
      Source { $0.gauge("g", help: "a\\b\n\"c\"", labels: [("l", "\\ \" \n é\u{0}")], 1) }
    ])
    #expect(text == "# HELP g a\\\\b\\n\"c\"\n# TYPE g gauge\ng{l=\"\\\\ \\\" \\n é\u{0}\"} 1\n")
  }

  @Test("numbers are whole, fractional or special, as the format spells them")
  func numbers() {
    func shown(_ value: Double) -> String {
      let text = PrometheusText.render([Source { $0.gauge("g", help: "Gs.", value) }])
      return String(text.split(separator: "\n").last!.dropFirst(2))
    }
    #expect(shown(0) == "0")
    #expect(shown(-3) == "-3")
    #expect(shown(0.25) == "0.25")
    #expect(shown(1_764_000_000.5) == "1764000000.5")
    #expect(shown(123_456_789_012_345) == "123456789012345")
    #expect(shown(.nan) == "NaN")
    #expect(shown(.infinity) == "+Inf")
    #expect(shown(-.infinity) == "-Inf")
    #expect(Double(shown(1e300)) == 1e300)
  }

  @Test("where sources disagree about a family, the first one holds")
  func conflicts() {
    let small = BucketHistogram(bounds: [1], scale: 1)
    let large = BucketHistogram(bounds: [1, 2], scale: 1)
    small.observe(1)
    large.observe(1)
    let text = PrometheusText.render([
      Source { $0.gauge("a", help: "First.", 1) }, Source { $0.gauge("a", help: "Second.", 1) },
      Source { $0.counter("a", help: "First.", 5) },
      Source { $0.histogram("h", help: "Hs.", small) }, Source { $0.histogram("h", help: "Hs.", large) },
    ])
    #expect(
      text == """
        # HELP a First.
        # TYPE a gauge
        a 2
        # HELP h Hs.
        # TYPE h histogram
        h_bucket{le="1"} 1
        h_bucket{le="+Inf"} 1
        h_sum 1
        h_count 1

        """)
  }

  @Test("nothing to say is an empty page")
  func empty() {
    #expect(PrometheusText.render([]) == "")
  }

  @Test(
    "promtool accepts the page without a complaint",
    .enabled(if: promtool != nil, "promtool is not installed (Debian package prometheus)"))
  func accepted() throws {
    let histogram = BucketHistogram.durations()
    histogram.observe(12_345)
    let page = PrometheusText.render([
      ProcessMetrics(), BuildMetrics(version: "0.1.0", commit: "abc"),
      Source {
        $0.counter("martlet_rpc_calls_total", help: "Calls answered.", labels: [("method", "a\"\\\nb")], 3)
        $0.histogram("martlet_rpc_call_duration_seconds", help: "Time.", labels: [("method", "Score")], histogram)
        $0.histogram("martlet_batch_rows", help: "Rows scored together.", .rows())
      },
    ])
    let process = Process()
    process.executableURL = URL(fileURLWithPath: promtool!)
    process.arguments = ["check", "metrics"]
    let (input, output) = (Pipe(), Pipe())
    process.standardInput = input
    process.standardOutput = output
    process.standardError = output
    try process.run()
    try input.fileHandleForWriting.write(contentsOf: Data(page.utf8))
    try input.fileHandleForWriting.close()
    let complaint = try output.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    #expect(String(decoding: complaint, as: UTF8.self) == "")
    #expect(process.terminationStatus == 0)
  }
}

@Suite("Process metrics")
struct ProcessMetricsTests {
  private func values() -> [String: Double] {
    var collector = MetricCollector()
    ProcessMetrics().collect(into: &collector)
    var values: [String: Double] = [:]
    for sample in collector.samples {
      if case .number(let number) = sample.value { values[sample.family] = number }
    }
    return values
  }

  @Test("every usual name has a value that this process may have")
  func plausible() throws {
    let values = values()
    #expect(try #require(values["process_cpu_seconds_total"]) > 0)
    let resident = try #require(values["process_resident_memory_bytes"])
    #expect(resident > 1e6)
    #expect(try #require(values["process_virtual_memory_bytes"]) >= resident)
    let open = try #require(values["process_open_fds"])
    #expect(open >= 3)
    #expect(try #require(values["process_max_fds"]) >= open)
    let start = try #require(values["process_start_time_seconds"])
    #expect(start > 1.7e9 && start <= Date().timeIntervalSince1970 + 1)
  }

  @Test("a descriptor that is opened is counted")
  func descriptors() throws {
    let before = try #require(values()["process_open_fds"])
    let handles = (0..<50).compactMap { _ in FileHandle(forReadingAtPath: "/dev/null") }
    let after = try #require(values()["process_open_fds"])
    // Other tests of this process open and close descriptors meanwhile, but not as many.
    #expect(after >= before + 30)
    withExtendedLifetime(handles) {}
  }

  @Test("the build is named by its version and, where known, its commit")
  func build() {
    let page = PrometheusText.render([BuildMetrics(version: "1.2", commit: "abc")])
    #expect(page.hasSuffix("\nmartlet_build_info{commit=\"abc\",version=\"1.2\"} 1\n"))
    #expect(PrometheusText.render([BuildMetrics(version: "1.2")]).hasSuffix("{version=\"1.2\"} 1\n"))
  }
}
