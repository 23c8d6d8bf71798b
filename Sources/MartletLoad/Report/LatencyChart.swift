import Glibc

/// Percentiles as bars of text on a logarithmic scale, a line each.
struct LatencyChart {
  static let width = 44

  /// One bar a percentile and one for the maximum; empty when nothing was recorded.
  static func lines(_ distribution: Distribution) -> [String] {
    guard distribution.count > 0 else { return [] }
    let bars = distribution.percentiles.map { ($0.name, $0.nanoseconds) } + [("max", distribution.maximum)]
    // From the power of ten below the smallest to the maximum, so that equal charts mean equal latencies.
    let low = pow(10, floor(log10(Double(max(1, distribution.minimum)))))
    let span = log(Double(max(2, distribution.maximum)) / low)
    return bars.map { name, value in
      let share = span > 0 ? log(Double(max(1, value)) / low) / span : 1
      let text = DurationText.text(value)
      return "  \(pad(name, 7))\(padLeft(text, 10))  \(bar(share))"
    }
  }

  /// A bar that fills `share` of the width, in eighths of a cell, and never nothing.
  static func bar(_ share: Double) -> String {
    let eighths = max(1, Int((min(max(share, 0), 1) * Double(width * 8)).rounded()))
    let parts = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"]
    return String(repeating: "█", count: eighths / 8) + parts[eighths % 8]
  }

  static func pad(_ text: String, _ columns: Int) -> String {
    text + String(repeating: " ", count: max(0, columns - text.count))
  }

  static func padLeft(_ text: String, _ columns: Int) -> String {
    String(repeating: " ", count: max(0, columns - text.count)) + text
  }
}
