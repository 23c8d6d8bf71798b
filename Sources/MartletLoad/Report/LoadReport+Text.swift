import MartletCore

extension LoadReport {
  /// The summary for people.
  public var text: String {
    var lines = [headline, paceLine, ""]
    lines += countLines
    lines.append("")
    if latency.count == 0 {
      lines.append("latency    no call was answered OK, so there is nothing to time")
    } else {
      lines.append(
        plan.pace.isOpen
          ? "latency, from the moment a call was due (bars on a log scale)"
          : "latency, from the send (bars on a log scale)")
      lines += LatencyChart.lines(latency)
      lines.append("")
      if plan.pace.isOpen { lines.append("service    \(Self.short(service)), from the moment a call left") }
    }
    if let floor { lines.append(Self.floorLine(floor)) }
    lines.append(verdictLine)
    lines += verdicts.map(Self.line)
    return lines.joined(separator: "\n") + "\n"
  }

  private var headline: String {
    let rows = "\(Self.count(UInt64(target.rowsPerCall), "row")) a call"
    let what =
      target.method == "Null"
      ? "Null"
      : "\(target.method) \(target.model) version \(target.version), \(rows), \(DecimalText.grouped(UInt64(target.distinctCalls))) different"
    return "\(target.server)  \(what)"
  }

  private var paceLine: String {
    let pace =
      switch plan.pace {
      case .closed(let concurrency): "closed loop, \(Self.count(UInt64(concurrency), "call")) in flight"
      case .open(let rate, let arrivals):
        "open loop, \(DecimalText.rate(rate)) calls/s, \(arrivals == .poisson ? "Poisson" : "constant") (seed \(plan.seed))"
      }
    let length = DurationText.text(measuredNanoseconds) + (endedEarly ? " (ended early)" : "")
    let warmup =
      plan.warmup > .zero ? " after \(DurationText.text(plan.warmup.wholeNanoseconds)) of warm-up" : ", no warm-up"
    return "\(pace), \(Self.count(UInt64(plan.connections), "connection")), \(length)\(warmup)"
  }

  private var countLines: [String] {
    var lines: [String] = []
    lines.append(
      "calls      \(DecimalText.grouped(scheduled)) due, \(DecimalText.grouped(sent)) sent, "
        + "\(DecimalText.grouped(answered)) answered, \(DecimalText.rate(callsPerSecond))/s"
        + (target.method == "Null" ? "" : " (\(DecimalText.rate(callsPerSecond * Double(target.rowsPerCall))) rows/s)"))
    var outcomes = answers.map { "\($0.code.name) \(DecimalText.grouped($0.count))" }
    if timedOut > 0 { outcomes.append("no answer in time \(DecimalText.grouped(timedOut))") }
    if disconnected > 0 { outcomes.append("lost with their connection \(DecimalText.grouped(disconnected))") }
    if neverSent > 0 { outcomes.append("never sent \(DecimalText.grouped(neverSent))") }
    lines.append("answers    " + (outcomes.isEmpty ? "none" : outcomes.joined(separator: ", ")))
    lines.append(
      "in flight  at most \(DecimalText.grouped(UInt64(maximumInFlight)))"
        + (reconnects > 0 ? ", \(Self.count(reconnects, "connection")) opened again" : ""))
    if plan.pace.isOpen {
      var line = "late       \(Self.count(late, "send")) (\(DecimalText.percent(lateShare))) over 100 µs, "
      line += "at most \(DurationText.text(latestNanoseconds))"
      if heldBack > 0 { line += "; \(DecimalText.grouped(heldBack)) of them held back by calls without an answer" }
      lines.append(line)
    }
    if hasStall {
      lines.append(
        "stall      no answer for \(DurationText.text(silenceNanoseconds)), from "
          + "\(DecimalText.fixed(Double(silenceStartNanoseconds) / 1e9, 2)) s on")
    }
    return lines
  }

  private static func count(_ number: UInt64, _ name: String) -> String {
    "\(DecimalText.grouped(number)) \(name)\(number == 1 ? "" : "s")"
  }

  private static func short(_ distribution: Distribution) -> String {
    guard distribution.count > 0 else { return "nothing was answered OK" }
    let shown = [50, 99, 99.9].compactMap { rank in
      distribution.value(at: rank).map { "\(Distribution.name(ofRank: rank)) \(DurationText.text($0))" }
    }
    return (shown + ["max \(DurationText.text(distribution.maximum))"]).joined(separator: "  ")
  }

  private static func floorLine(_ floor: Floor) -> String {
    "floor      \(short(floor.latency)), Null with \(DecimalText.grouped(UInt64(floor.requestBytes))) bytes there, "
      + "\(DecimalText.grouped(UInt64(floor.responseBytes))) back"
  }

  /// Whether the figures may be used, and why.
  private var verdictLine: String {
    guard plan.pace.isOpen else {
      return "verdict    VALID as a closed loop: a slow answer delays the next call, so waits are under-counted; "
        + "--rate counts them"
    }
    let share = DecimalText.percent(lateShare)
    let most = DecimalText.percent(Self.maximumLateShare)
    guard !isValid else { return "verdict    VALID: \(share) of the calls left late, at most \(most) may" }
    let why =
      heldBack * 2 > late + neverSent || neverSent * 2 > late + neverSent
      ? "the server does not keep up" : "the harness was late by itself, give it a core of its own"
    return "verdict    INVALID: \(share) of the calls left late, at most \(most) may; \(why)"
  }

  private static func line(_ verdict: ServiceLevelObjective.Verdict) -> String {
    func show(_ value: Double) -> String {
      verdict.bound.measure == .errors ? DecimalText.percent(value) : DurationText.text(UInt64(value))
    }
    let measured = verdict.measured.map(show) ?? "nothing measured"
    return "slo        \(verdict.bound.measure.name) at most \(show(verdict.bound.limit)): "
      + "\(verdict.isKept ? "kept" : "MISSED"), \(measured)"
  }
}
