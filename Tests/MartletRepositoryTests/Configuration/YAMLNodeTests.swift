import MartletRepository
import Testing

private func refusal(_ text: String) -> String {
  do {
    _ = try YAMLNode.parse(text, file: "f")
    return "accepted"
  } catch {
    return "\(error)"
  }
}

@Suite("YAML with positions")
struct YAMLNodeTests {
  @Test("values know their lines, texts whether they were quoted")
  func positions() throws {
    let root = try #require(try YAMLNode.parse("# c\na: 1\nb:\n  - x\n  - 'null'\nc:\n", file: "f"))
    guard case .map(let entries) = root.content else {
      Issue.record("not a map")
      return
    }
    #expect(entries.map(\.key) == ["a", "b", "c"])
    #expect(entries.map(\.line) == [2, 3, 6])
    guard case .list(let items) = entries[1].value.content else {
      Issue.record("not a list")
      return
    }
    #expect(items.map(\.line) == [4, 5])
    #expect(items.map(\.isNull) == [false, false])
    #expect(entries[2].value.isNull)
  }

  @Test("aliases that would expand without end are refused before they are followed")
  func aliasBomb() {
    var text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    for level in 1...12 {
      let references = Array(repeating: "*a\(level - 1)", count: 9).joined(separator: ", ")
      text += "a\(level): &a\(level) [\(references)]\n"
    }
    #expect(refusal(text) == "f: more than 16 aliases (*name)")
    #expect(refusal("a: &x 1\nb: *x\n") == "accepted")
    #expect(refusal("b: *x\n").contains("undefined alias"))
    #expect(refusal("text: 2 * 3 * 4, **bold** **bold** **bold** **bold** **bold** **bold**\n") == "accepted")
  }

  @Test("nesting without end is an error, not a crash")
  func deepNesting() {
    #expect(refusal(String(repeating: "[", count: 100_000)).hasPrefix("f:1: not YAML: "))
    #expect(refusal(String(repeating: "{a: ", count: 100_000)).hasPrefix("f:1: not YAML: "))
    #expect(refusal(String(repeating: "- ", count: 100_000) + "x").hasPrefix("f:1: not YAML: "))
    #expect(refusal(String(repeating: "[", count: 900) + String(repeating: "]", count: 900)) == "accepted")
  }

  @Test("broken text of any kind is one error with a line")
  func brokenText() {
    #expect(refusal("a: 1\nb: [1, 2\n").hasPrefix("f:3: not YAML: "))
    #expect(refusal("a: 1\n\tb: 2\n").hasPrefix("f:2: not YAML: "))
    #expect(refusal("a: 1\n---\nb: 2\n").hasPrefix("f:2: not YAML: "))
    #expect(refusal("a: 1\nb: 2\na: 3\n").contains("given twice: \"a\""))
    #expect(refusal("? [a, b]\n: 1\n") == "f:1: a key must be a word")
    #expect(refusal("a: \u{1}\n").hasPrefix("f: not YAML: "))
  }

  @Test("a file cut or changed at any byte is a value or an error")
  func mutations() {
    let text = "owner: \"a\"\nlist: [1, {b: c}]\ndecision: {class: x, threshold: 0.5}\ntext: |\n  a\n  b\n"
    let bytes = Array(text.utf8)
    for index in bytes.indices {
      _ = refusal(String(decoding: bytes[..<index], as: UTF8.self))
      for byte in "\"'[]{}:,-&*!|>%@`#\n\t\0".utf8 {
        var changed = bytes
        changed[index] = byte
        _ = refusal(String(decoding: changed, as: UTF8.self))
      }
    }
  }
}

@Suite("Values of configuration files")
struct ConfigurationScalarTests {
  @Test(
    "durations are exact",
    arguments: [
      ("0", Duration.zero), ("0s", .zero), ("200us", .microseconds(200)), ("200µs", .microseconds(200)),
      ("1.5ms", .microseconds(1500)), ("30s", .seconds(30)), ("2m", .seconds(120)), ("1h", .seconds(3600)),
      ("7ns", .nanoseconds(7)), ("0.000000001s", .nanoseconds(1)),
    ])
  func durations(text: String, expected: Duration) {
    #expect(ConfigurationScalar.duration(text) == expected)
  }

  @Test(
    "what is not a duration is refused",
    arguments: [
      "", "30", "s", "-1s", "1 s", "1d", "1.5ns", "1.s", ".5s", "1e3s", "1,5s", "9223372036854775807s", "٣s", "1s ",
    ])
  func badDurations(text: String) {
    #expect(ConfigurationScalar.duration(text) == nil)
  }

  @Test("a duration and a size are shown as they are read")
  func shown() {
    for text in ["0s", "200us", "1500us", "30s", "2m", "90s", "1h", "7ns"] {
      #expect(ConfigurationScalar.duration(text).map { ConfigurationScalar.show($0) } == text)
    }
    for text in ["0B", "512B", "64KiB", "4MiB", "1GiB", "1025B"] {
      #expect(ConfigurationScalar.bytes(text).map { ConfigurationScalar.show(bytes: $0) } == text)
    }
  }

  @Test("sizes have binary units or none", arguments: [("4MiB", 4 << 20), ("65536", 65_536), ("1TiB", 1 << 40)])
  func sizes(text: String, expected: Int) {
    #expect(ConfigurationScalar.bytes(text) == expected)
  }

  @Test("what is not a size is refused", arguments: ["", "4MB", "4 MiB", "-1B", "1.5MiB", "MiB", "99999999TiB"])
  func badSizes(text: String) {
    #expect(ConfigurationScalar.bytes(text) == nil)
  }

  @Test("numbers and switches are read exactly")
  func numbers() {
    #expect(ConfigurationScalar.number("0.167") == 0.167)
    #expect(ConfigurationScalar.number("1e-3") == 0.001)
    for text in ["", "nan", "inf", "0x10", "1_0", "1e999", " 1"] { #expect(ConfigurationScalar.number(text) == nil) }
    #expect(ConfigurationScalar.flag("true") == true)
    for text in ["yes", "on", "True", "1"] { #expect(ConfigurationScalar.flag(text) == nil) }
  }
}
