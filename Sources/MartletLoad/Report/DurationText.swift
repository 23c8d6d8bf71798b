import Glibc

/// Durations as people write and read them: `250us`, `2 ms`, `1.5s`.
public enum DurationText {
  /// Units with their nanoseconds; the first name of a length is the one that is written.
  private static let units: [(name: String, nanoseconds: Double)] = [
    ("ns", 1), ("µs", 1e3), ("us", 1e3), ("μs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("min", 60e9),
  ]

  /// Nanoseconds of a number with a unit (ns, us, µs, ms, s, m); nil when it is not one, negative or above a day.
  public static func nanoseconds(_ text: some StringProtocol) -> UInt64? {
    let number = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    var unit = text.dropFirst(number.count)
    if unit.first == " " { unit = unit.dropFirst() }
    guard let scale = units.first(where: { $0.name == unit })?.nanoseconds, let value = DecimalText.value(number)
    else { return nil }
    let nanoseconds = (value * scale).rounded()
    guard nanoseconds <= 86_400e9 else { return nil }
    return UInt64(nanoseconds)
  }

  /// Three significant digits and the unit that suits: `61.2 µs`, `1.00 s`.
  public static func text(_ nanoseconds: UInt64) -> String {
    let value = Double(nanoseconds)
    // Compared after rounding to three digits, so that 999.6 µs becomes 1.00 ms.
    switch value {
    case ..<999.5: return "\(nanoseconds) ns"
    case ..<999.5e3: return "\(DecimalText.threeDigits(value / 1e3)) µs"
    case ..<999.5e6: return "\(DecimalText.threeDigits(value / 1e6)) ms"
    default: return "\(DecimalText.threeDigits(value / 1e9)) s"
    }
  }
}

/// Numbers as a report shows them, the same in every locale.
public enum DecimalText {
  /// A plain decimal number, 0 or more: digits with at most one point; nil for anything else (`1e3`, `nan`, `-1`).
  public static func value(_ text: some StringProtocol) -> Double? {
    guard text.contains(where: \.isNumber), text.allSatisfy({ $0.isASCII && ($0.isNumber || $0 == ".") }) else {
      return nil
    }
    return Double(text)
  }

  /// `value` with `digits` behind the point.
  public static func fixed(_ value: Double, _ digits: Int) -> String {
    guard value.isFinite else { return "\(value)" }
    let scale = pow(10, Double(digits))
    let scaled = (abs(value) * scale).rounded()
    guard scaled < 9e15 else { return "\(value)" }
    let whole = UInt64(scaled) / UInt64(scale)
    let sign = value < 0 && scaled > 0 ? "-" : ""
    guard digits > 0 else { return "\(sign)\(whole)" }
    let rest = String(UInt64(scaled) % UInt64(scale))
    return "\(sign)\(whole)." + String(repeating: "0", count: digits - rest.count) + rest
  }

  /// `value` with three significant digits while it is below 1,000, whole above.
  static func threeDigits(_ value: Double) -> String {
    switch value {
    case ..<9.995: fixed(value, 2)
    case ..<99.95: fixed(value, 1)
    default: fixed(value, 0)
    }
  }

  /// `1234567` as `1,234,567`.
  public static func grouped(_ value: UInt64) -> String {
    let digits = Array(String(value))
    var text = ""
    for (index, digit) in digits.enumerated() {
      if index > 0, (digits.count - index) % 3 == 0 { text += "," }
      text.append(digit)
    }
    return text
  }

  /// Calls a second: grouped, with a digit behind the point where it says something.
  static func rate(_ value: Double) -> String {
    value < 100 ? fixed(value, 1) : grouped(UInt64(value.rounded()))
  }

  /// A share of 1 as a percentage: `0.03 %`.
  static func percent(_ share: Double) -> String { fixed(share * 100, share < 0.1 ? 2 : 1) + " %" }
}
