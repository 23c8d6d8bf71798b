/// How the values of configuration files are written and read: whole numbers, sizes, durations, switches.
///
/// Every reader returns nil for a text that is not exactly one such value, and for one that does not fit the type.
public enum ConfigurationScalar {
  public static func count(_ text: String) -> Int? {
    guard !text.isEmpty, text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else { return nil }
    return Int(text)
  }

  /// `true` or `false`; the other words of YAML 1.1 (`yes`, `off`) are refused rather than guessed.
  public static func flag(_ text: String) -> Bool? {
    switch text {
    case "true": true
    case "false": false
    default: nil
    }
  }

  /// A decimal number that is finite.
  public static func number(_ text: String) -> Double? {
    let allowed = text.utf8.allSatisfy {
      ($0 >= 0x30 && $0 <= 0x39) || $0 == 0x2E || $0 == 0x2D || $0 == 0x2B || $0 == 0x65 || $0 == 0x45
    }
    guard allowed, let value = Double(text), value.isFinite else { return nil }
    return value
  }

  private static let sizes: [(unit: String, bytes: Int)] = [
    ("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1),
  ]

  /// A size such as `64KiB`, `4MiB`, `512B`; a number without a unit is bytes.
  public static func bytes(_ text: String) -> Int? {
    for (unit, bytes) in sizes where text.hasSuffix(unit) {
      guard let whole = count(String(text.dropLast(unit.count))) else { return nil }
      let (product, overflow) = whole.multipliedReportingOverflow(by: bytes)
      return overflow ? nil : product
    }
    return count(text)
  }

  /// The size in the largest unit that shows it exactly.
  public static func show(bytes: Int) -> String {
    for (unit, size) in sizes where bytes >= size && bytes % size == 0 { return "\(bytes / size)\(unit)" }
    return "\(bytes)B"
  }

  private static let durations: [(unit: String, nanoseconds: Int64)] = [
    ("ns", 1), ("us", 1_000), ("µs", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
  ]

  /// A duration such as `200us`, `1.5ms`, `30s`, `10m`; the unit may lack for 0 alone.
  public static func duration(_ text: String) -> Duration? {
    if text == "0" { return .zero }
    guard let split = text.firstIndex(where: { !($0.isASCII && $0.isNumber) && $0 != "." }) else { return nil }
    guard let unit = durations.first(where: { $0.unit == text[split...] }) else { return nil }
    let parts = text[..<split].split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    guard let whole = count(String(parts[0])).map(Int64.init) else { return nil }
    var (nanoseconds, overflow) = whole.multipliedReportingOverflow(by: unit.nanoseconds)
    guard !overflow else { return nil }
    if parts.count == 2 {
      guard parts[1].count <= 9, let fraction = count(String(parts[1])).map(Int64.init) else { return nil }
      var divisor: Int64 = 1
      for _ in 0..<parts[1].count { divisor *= 10 }
      let (scaled, tooLarge) = fraction.multipliedReportingOverflow(by: unit.nanoseconds)
      // Below a nanosecond there is nothing to wait for: such a fraction is a slip of the pen.
      guard !tooLarge, scaled % divisor == 0 else { return nil }
      (nanoseconds, overflow) = nanoseconds.addingReportingOverflow(scaled / divisor)
      guard !overflow else { return nil }
    }
    return .nanoseconds(nanoseconds)
  }

  /// The duration in the largest unit that shows it exactly.
  public static func show(_ duration: Duration) -> String {
    let (seconds, attoseconds) = duration.components
    let nanoseconds = seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    if nanoseconds == 0 { return "0s" }
    for (unit, size) in durations.reversed() where nanoseconds % size == 0 && unit != "µs" {
      return "\(nanoseconds / size)\(unit)"
    }
    return "\(nanoseconds)ns"
  }

  /// The text as a YAML scalar, quoted where plain text would be read as something else.
  public static func yaml(_ text: String) -> String {
    let plain =
      !text.isEmpty
      && text.utf8.allSatisfy {
        ($0 >= 0x30 && $0 <= 0x39) || ($0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A) || "-_./:+%".utf8.contains($0)
      } && !"-:%".contains(text.first!) && text.last != ":" && !["null", "true", "false"].contains(text.lowercased())
    if plain { return text }
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": quoted += "\\\""
      case "\\": quoted += "\\\\"
      case "\n": quoted += "\\n"
      case "\t": quoted += "\\t"
      case _ where scalar.value < 0x20 || scalar.value == 0x7F:
        let hex = String(scalar.value, radix: 16)
        quoted += "\\x" + String(repeating: "0", count: 2 - hex.count) + hex
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }
}
