import ArgumentParser

/// A duration on the command line: `250ms`, `5s`, `2m`; a bare number is seconds.
struct DurationArgument: ExpressibleByArgument, Sendable, Equatable {
  var duration: Duration

  init(_ duration: Duration) { self.duration = duration }

  init?(argument: String) {
    let units: [(String, Double)] = [("us", 1e-6), ("ms", 1e-3), ("s", 1), ("m", 60), ("h", 3600)]
    var number = Substring(argument)
    var scale = 1.0
    if let unit = units.first(where: { argument.hasSuffix($0.0) }) {
      number = argument.dropLast(unit.0.count)
      scale = unit.1
    }
    guard number.first?.isNumber == true, let value = Double(number), value > 0, value * scale < 1e9 else { return nil }
    duration = .nanoseconds(Int64((value * scale * 1e9).rounded()))
  }

  var defaultValueDescription: String { "\(duration)" }
}
