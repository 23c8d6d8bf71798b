import Testing

@testable import MartletLoad

@Suite struct ServiceLevelObjectiveTests {
  @Test("an objective is read as a list of bounds")
  func reading() throws {
    let objective = try ServiceLevelObjective("p99=2ms, errors=0.1%,p99.95=1.5s,mean=250us,max=1 s,p50=80µs")
    #expect(
      objective.bounds == [
        .init(.percentile(99), limit: 2e6), .init(.errors, limit: 0.001), .init(.percentile(99.95), limit: 1.5e9),
        .init(.mean, limit: 250e3), .init(.maximum, limit: 1e9), .init(.percentile(50), limit: 80e3),
      ])
    #expect(objective.ranks == [99, 99.95, 50])
    #expect(try ServiceLevelObjective("errors=0.02").bounds == [.init(.errors, limit: 0.02)])
    #expect(try ServiceLevelObjective("errors=0").bounds == [.init(.errors, limit: 0)])
  }

  @Test(
    "what is no objective is refused with the part that is wrong",
    arguments: [
      ("", "\"\" has no \"=\""), ("p99", "\"p99\" has no \"=\""), ("p99=2ms,", "\"\" has no \"=\""),
      ("p99=2", "p99 is \"2\""), ("p99=ms", "p99 is \"ms\""), ("p99=-2ms", "p99 is \"-2ms\""),
      ("p99=1e3ms", "p99 is \"1e3ms\""), ("p99=nanms", "p99 is \"nanms\""), ("p99=2h", "p99 is \"2h\""),
      ("p99=1.2.3ms", "p99 is \"1.2.3ms\""), ("p0=2ms", "\"p0\" is no measure"),
      ("p101=2ms", "\"p101\" is no measure"), ("p=2ms", "\"p\" is no measure"), ("q99=2ms", "\"q99\" is no measure"),
      ("P99=2ms", "\"P99\" is no measure"), ("errors=101%", "errors is \"101%\""),
      ("errors=2", "errors is \"2\""), ("errors=2ms", "errors is \"2ms\""), ("errors=%", "errors is \"%\""),
      ("p99=1ms,p99=2ms", "\"p99\" is bounded twice"), ("p99=1ms,p99.0=2ms", "\"p99.0\" is bounded twice"),
      ("p99=90000000s", "p99 is \"90000000s\""),
    ])
  func refusing(text: String, message: String) {
    let error = #expect(throws: ServiceLevelObjective.SyntaxError.self) { try ServiceLevelObjective(text) }
    #expect(error?.description.hasPrefix(message) == true, "\(error?.description ?? "none")")
  }

  @Test("durations are read with their units and written with three digits")
  func durations() {
    #expect(DurationText.nanoseconds("250ns") == 250)
    #expect(DurationText.nanoseconds("1.5 s") == 1_500_000_000)
    #expect(DurationText.nanoseconds("2m") == 120_000_000_000)
    #expect(DurationText.nanoseconds("1") == nil)
    #expect(DurationText.nanoseconds(".s") == nil)
    #expect(DurationText.nanoseconds("25h") == nil)
    #expect(DurationText.nanoseconds("٣s") == nil)
    #expect(DurationText.text(0) == "0 ns")
    #expect(DurationText.text(999) == "999 ns")
    #expect(DurationText.text(1_000) == "1.00 µs")
    #expect(DurationText.text(61_234) == "61.2 µs")
    #expect(DurationText.text(99_960) == "100 µs")
    #expect(DurationText.text(999_600) == "1.00 ms")
    #expect(DurationText.text(12_345_678) == "12.3 ms")
    #expect(DurationText.text(902_000_000) == "902 ms")
    #expect(DurationText.text(1_000_000_000) == "1.00 s")
    #expect(DurationText.text(125_000_000_000) == "125 s")
  }

  @Test("numbers are written the same everywhere")
  func numbers() {
    #expect(DecimalText.grouped(0) == "0")
    #expect(DecimalText.grouped(999) == "999")
    #expect(DecimalText.grouped(1_234_567) == "1,234,567")
    #expect(DecimalText.fixed(2.005, 1) == "2.0")
    #expect(DecimalText.fixed(-0.26, 1) == "-0.3")
    #expect(DecimalText.fixed(-0.01, 1) == "0.0")
    #expect(DecimalText.fixed(9.996, 2) == "10.00")
    #expect(DecimalText.fixed(3.05, 2) == "3.05")
  }
}
