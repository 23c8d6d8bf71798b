import Glibc
import MartletCore

/// Prometheus' text format, version 0.0.4.
///
/// Source: prometheus.io, Instrumenting, Exposition formats, "Text-based format".
public enum PrometheusText {
  public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

  /// Asks every source and writes what they say: families by name, samples by labels, what has the same name and
  /// labels added up. Where two sources disagree about a family's kind, help or buckets, the first one holds and
  /// the other's samples of another kind or other buckets are left out.
  ///
  /// Takes time in proportion to the number of samples; call it on a thread that serves nobody.
  public static func render(_ sources: [any MetricSource]) -> String {
    var collector = MetricCollector()
    for source in sources { source.collect(into: &collector) }
    var families: [String: Family] = [:]
    for sample in collector.samples {
      families[sample.family, default: Family(help: sample.help, kind: sample.kind)].add(sample)
    }
    var text = ""
    for (name, family) in families.sorted(by: { $0.key < $1.key }) { family.write(name, to: &text) }
    return text
  }

  private struct Family {
    let help: String
    let kind: MetricCollector.Kind
    /// By the labels as they are written.
    var values: [String: MetricCollector.Value] = [:]

    init(help: String, kind: MetricCollector.Kind) {
      self.help = help
      self.kind = kind
    }

    mutating func add(_ sample: MetricCollector.Sample) {
      guard sample.kind == kind else { return }
      let labels = PrometheusText.labels(sample.labels)
      guard let known = values[labels] else {
        values[labels] = sample.value
        return
      }
      switch (known, sample.value) {
      case (.number(let a), .number(let b)):
        values[labels] = .number(a + b)
      case (.buckets(let bounds, let a, let sum), .buckets(let others, let b, let more)) where bounds == others:
        values[labels] = .buckets(bounds: bounds, counts: zip(a, b).map { $0 &+ $1 }, sum: sum + more)
      default: break
      }
    }

    func write(_ name: String, to text: inout String) {
      text += "# HELP \(name) \(escaped(help, quotes: false))\n# TYPE \(name) \(kind.rawValue)\n"
      for (labels, value) in values.sorted(by: { $0.key < $1.key }) {
        switch value {
        case .number(let number):
          text += name + (labels.isEmpty ? "" : "{\(labels)}") + " \(shown(number))\n"
        case .buckets(let bounds, let counts, let sum):
          var total: UInt64 = 0
          let prefix = labels.isEmpty ? "" : labels + ","
          for (index, count) in counts.enumerated() {
            total &+= count
            let bound = index < bounds.count ? shownBound(bounds[index]) : "+Inf"
            text += "\(name)_bucket{\(prefix)le=\"\(bound)\"} \(total)\n"
          }
          let braces = labels.isEmpty ? "" : "{\(labels)}"
          text += "\(name)_sum\(braces) \(shown(sum))\n\(name)_count\(braces) \(total)\n"
        }
      }
    }
  }

  /// Labels by name, as they stand between the braces.
  private static func labels(_ labels: [(name: String, value: String)]) -> String {
    labels.sorted { $0.name < $1.name }.map { "\($0.name)=\"\(escaped($0.value, quotes: true))\"" }
      .joined(separator: ",")
  }

  private static func escaped(_ text: String, quotes: Bool) -> String {
    guard text.utf8.contains(where: { $0 == 0x5C || $0 == 0x0A || $0 == 0x22 }) else { return text }
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\"" where quotes: result += "\\\""
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  private static func shown(_ number: Double) -> String {
    if number.isNaN { return "NaN" }
    if number.isInfinite { return number > 0 ? "+Inf" : "-Inf" }
    // Doubles hold whole numbers exactly up to here.
    if number.magnitude < 9e15, number == number.rounded(.towardZero) { return String(Int64(number)) }
    return number.description
  }

  /// A bound without the last digits that scaling by a power of ten leaves: 2e-05 rather than 2.0000000000000002e-05.
  private static func shownBound(_ bound: Double) -> String {
    var bytes = [CChar](repeating: 0, count: 32)
    let length = withVaList([bound]) { vsnprintf(&bytes, bytes.count, "%.12g", $0) }
    guard length > 0, length < bytes.count else { return bound.description }
    return String(decoding: bytes.prefix(Int(length)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
