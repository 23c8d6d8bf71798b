import Foundation
import MartletClient
import MartletCore
import Testing

@testable import martlet

/// What `body` writes to a file.
func written(_ body: (inout OutputFile) throws -> Void) throws -> String {
  let path = NSTemporaryDirectory() + "martlet-output-\(UUID().uuidString)"
  defer { unlink(path) }
  var file = try OutputFile(creating: path)
  try body(&file)
  try file.flush()
  return try String(contentsOfFile: path, encoding: .utf8)
}

@Suite struct OutputTests {
  private let columns = ["id", "label", "p"]
  private let rows: [[OutputCell]] = [
    [.text("a,1"), .text("good"), .double(0.1)],
    [.text("say \"hi\"\n"), .missing, .float(0.1)],
    [.json("7"), .boolean(true), .double(1e-7)],
    [.text(""), .integer(-3), .double(.nan)],
  ]

  @Test("CSV has a header and quotes what needs them")
  func csv() throws {
    let text = try written { try OutputFormat.csv.write(columns, rows, &$0) }
    #expect(text == "id,label,p\n\"a,1\",good,0.1\n\"say \"\"hi\"\"\n\",,0.1\n7,true,1e-07\n,-3,nan\n")
  }

  @Test("JSON is one object a line, and what is not finite is null")
  func json() throws {
    let text = try written { try OutputFormat.json.write(columns, rows, &$0) }
    #expect(
      text == """
        {"id": "a,1", "label": "good", "p": 0.1}
        {"id": "say \\"hi\\"\\n", "label": null, "p": 0.1}
        {"id": 7, "label": true, "p": 1e-07}
        {"id": "", "label": -3, "p": null}

        """)
    for line in text.split(separator: "\n") {
      #expect(throws: Never.self) { try JSONSerialization.jsonObject(with: Data(line.utf8)) }
    }
  }

  @Test("a table aligns its columns, numbers to the right, and keeps each row on its line")
  func table() throws {
    let text = try written { try OutputFormat.table.write(columns, rows, &$0) }
    #expect(
      text == """
        id         label      p
        a,1        good     0.1
        say "hi"   -        0.1
        7          true   1e-07
                   -3       nan

        """)
  }

  @Test("a stream's table shows its first rows when it pauses, and later ones as they come")
  func stream() throws {
    let text = try written { file in
      var writer = TableRowWriter()
      try writer.begin(["n"], &file)
      try writer.row([.integer(5)], &file)
      try writer.pause(&file)
      try writer.row([.integer(123)], &file)
      try writer.pause(&file)
    }
    #expect(text == "n\n5\n123\n")
  }

  @Test("control characters in JSON text are escaped")
  func escapes() {
    #expect(JSONText.string("a\u{1}\t\u{7f}é") == "\"a\\u0001\\t\u{7f}é\"")
  }

  @Test("a response's columns are labels, probabilities and decisions, values, or named outputs")
  func resultColumns() {
    func response(_ result: ScoreResponse.Result) -> ScoreResponse {
      ScoreResponse(
        model: "m", version: "1", rows: 2, predictions: [.init(instance: "i", first: 7, rows: 2)], result: result)
    }
    func cells(_ response: ScoreResponse, _ row: Int) -> [OutputCell] {
      var cells: [OutputCell] = []
      ResultColumns.append(row, of: response, withPredictions: true, to: &cells)
      return cells
    }
    let first = response(
      .classification(
        Classification(
          labels: .integer([1, 0]), classes: .integer([0, 1]), probabilities: .floats([0.25, 0.75, 0.5, 0.5]),
          decision: .init(reached: [true, false], decisionClass: "1", threshold: 0.6))))
    #expect(
      ResultColumns.names(first, withPredictions: true)
        == ["label", "probability_0", "probability_1", "decision", "prediction"])
    #expect(cells(first, 1) == [.integer(0), .float(0.5), .float(0.5), .boolean(false), .text("i/8")])
    let second = response(.regression(Regression(values: .doubles([1, 2, 3, 4]), targets: 2)))
    #expect(ResultColumns.names(second, withPredictions: false) == ["value_0", "value_1"])
    #expect(cells(second, 1) == [.double(3), .double(4), .text("i/8")])
    let third = response(
      .outputs([
        NamedOutput(name: "cluster", width: 1, values: .integers([4, 5])),
        NamedOutput(name: "distance", width: 2, values: .floats([1, 2, 3, 4])),
      ]))
    #expect(ResultColumns.names(third, withPredictions: false) == ["cluster", "distance_0", "distance_1"])
    #expect(cells(third, 0) == [.integer(4), .float(1), .float(2), .text("i/7")])
  }

  @Test(
    "durations take their unit",
    arguments: [
      ("250ms", Duration.milliseconds(250)), ("5s", .seconds(5)), ("1.5s", .milliseconds(1500)), ("2m", .seconds(120)),
      ("7", .seconds(7)), ("20us", .microseconds(20)),
    ])
  func durations(text: String, duration: Duration) {
    #expect(DurationArgument(argument: text)?.duration == duration)
  }

  @Test("what is no duration is refused", arguments: ["", "s", "-1s", "0", "1x", "1 s", "nan", "infs", "1e99s"])
  func badDurations(text: String) {
    #expect(DurationArgument(argument: text) == nil)
  }

  @Test("progress is in rows and rows a second, with thousands apart")
  func progress() {
    #expect(
      ProgressLine.text(rows: 12_345_678, rejected: 0, nanoseconds: 2_000_000_000)
        == "12,345,678 rows scored, 6,172,839 rows/s")
    #expect(ProgressLine.text(rows: 10, rejected: 1, nanoseconds: 0) == "10 rows scored, 1 rejected, 0 rows/s")
  }

  @Test("each failure of a call has its exit code and a next step")
  func failures() {
    func status(_ code: StatusCode, _ origin: ClientError.Origin) -> martlet.ExitStatus {
      Failure(ClientError(code, "x", origin: origin)).status
    }
    #expect(status(.unavailable, .connection) == .unreachable)
    #expect(status(.deadlineExceeded, .client) == .unreachable)
    #expect(status(.notFound, .server) == .refused)
    #expect(status(.unavailable, .server) == .refused)
    #expect(status(.invalidArgument, .client) == .usage)
    #expect(status(.cancelled, .client) == .failed)
    #expect(
      Failure(ClientError(.unavailable, "x", origin: .connection)).text.contains("\n  try: is the server running"))
  }
}
