import Testing

@testable import MartletCore

@Suite struct RowReaderJSONTests {
  @Test("objects are rows, whatever the order of their keys, and keys that come later are new columns")
  func objects() throws {
    let (columns, rows) = try read("{\"a\": 1, \"b\": \"x\"}\n\n{\"b\":null,\"c\":true , \"a\":-2.5e3}\r\n{}")
    #expect(columns == ["a", "b", "c"])
    #expect(rows == [.row(["1", "x"]), .row(["-2.5e3", nil, "true"]), .row([nil, nil, nil])])
  }

  @Test("the kinds of the values are kept apart")
  func kinds() throws {
    var reader = try RowReader(ByteSource(Array(#"{"a":"1","b":1,"c":true,"d":null,"e":[1,{"x":[]}],"f":{}}"#.utf8)))
    var row = InputRow()
    #expect(try reader.next(&row) == .row)
    #expect(row.cells.map(\.kind) == [.string, .number, .boolean, .null, .nested, .nested])
    #expect(row.text(row.cells[4]) == "[1,{\"x\":[]}]")
  }

  @Test("escapes are what they stand for")
  func escapes() throws {
    let (columns, rows) = try read(#"{"a\u0062":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é"}"#)
    #expect(columns == ["ab"])
    #expect(rows == [.row(["\"\\/\u{8}\u{c}\n\r\t\u{e9}\u{1f600}\u{e9}"])])
  }

  @Test(
    "malformed lines are problems of their rows, and the next is read",
    arguments: [
      (#"{"a":1"#, Optional("a")), (#"{"a":1,}"#, nil), (#"{"a" 1}"#, "a"), (#"{a:1}"#, nil), (#"[1]"#, nil),
      (#"{"a":01}"#, "a"), (#"{"a":1.}"#, "a"), (#"{"a":-}"#, "a"), (#"{"a":1e}"#, "a"), (#"{"a":nul}"#, "a"),
      (#"{"a":"x}"#, "a"), (#"{"a":"\x"}"#, "a"), (#"{"a":"\ud800"}"#, "a"), (#"{"a":"\u12g4"}"#, "a"),
      (#"{"a":1} x"#, nil), (#"{"a":1,"a":2}"#, "a"), ("{\"a\":\"\u{1}\"}", "a"), (#"{"a":[1}"#, "a"),
      (#"{"a":+1}"#, "a"),
    ] as [(String, String?)])
  func malformed(line: String, column: String?) throws {
    let (_, rows) = try read("{\"z\":0}\n\(line)\n{\"z\":7}\n")
    #expect(rows.count == 3)
    guard rows.count == 3, case .problem(let problem) = rows[1] else {
      Issue.record("\(line) was read")
      return
    }
    #expect(problem.row == 2)
    #expect(problem.line == 2)
    #expect(problem.column == column)
    guard case .row(let cells) = rows[2] else {
      Issue.record("the row behind \(line) was not read")
      return
    }
    #expect(cells.first == "7")
  }

  @Test("nesting is bounded")
  func depth() throws {
    let deep = String(repeating: "[", count: 100_000)
    let (_, rows) = try read("{\"a\":\(deep)\n{\"a\":1}\n")
    #expect(rows.last == .row(["1"]))
  }

  @Test("a key that is not UTF-8 and text with one byte too few are refused, not misread")
  func utf8() throws {
    var reader = try RowReader(ByteSource(Array("{\"".utf8) + [0xc3, 0x28] + Array("\":1}\n{\"a\":1}".utf8)))
    let rows = try read(&reader)
    #expect(rows.last == .row(["1"]))
    #expect(rows.count == 2)
  }

  @Test("what an input is shows in its first visible byte")
  func sniffing() throws {
    #expect(try RowReader(ByteSource(Array("\n {\"a\":1}".utf8))).format == .jsonl)
    #expect(try RowReader(ByteSource(Array("\u{feff}{\"a\":1}".utf8))).format == .jsonl)
    #expect(try RowReader(ByteSource(Array("a,b\n".utf8))).format == .csv)
    #expect(throws: InputError.self) { try RowReader(ByteSource(Array("[{\"a\":1}]".utf8))) }
  }

  @Test("random bytes never crash a reader", arguments: [RowReader.Format.csv, .jsonl])
  func garbage(format: RowReader.Format) throws {
    var random = SplitMix(state: 9)
    let alphabet = Array("{}[]\":,\\un0 1.e-\n\r\"aé".utf8)
    for _ in 0..<3_000 {
      let bytes = (0..<Int.random(in: 0..<60, using: &random)).map { _ in alphabet.randomElement(using: &random) ?? 0 }
      guard var reader = try? RowReader(ByteSource(Array("{\"a\":1}\n".utf8) + bytes), format: format) else { continue }
      _ = try? read(&reader)
    }
  }
}

/// A small generator with a seed, so that a failure repeats. Source: Steele, Lea and Flood, "Fast Splittable
/// Pseudorandom Number Generators", 2014.
private struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
