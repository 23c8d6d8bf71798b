import CProtos
import MartletCore
import MartletRepository
import MartletWire
import Testing

@testable import MartletServices

/// Columns of a good request of two rows, by name.
typealias Change = @Sendable (inout ProtoBuffer) -> Void

private let good: [String: Change] = [
  "a": { $0.floats(3, [0.25, 0.75]) }, "b": { $0.floats(3, [0.5, 0.5]) }, "n": { $0.packed(4, [0, 3]) },
  "text": {
    $0.element(5, "yes")
    $0.element(5, "")
  }, "flag": { $0.packed(6, [1, 0]) },
  "wide": { $0.doubles(2, [1e300, -0.0]) },
]

private func request(
  model: String = "fake", version: String = "", rows: Int = 2, ignoreExtra: Bool = false, order: [String]? = nil,
  _ changes: [String: Change?] = [:]
) -> [UInt8] {
  var columns = good
  for (name, change) in changes { columns[name] = change }
  var message = ProtoBuffer()
  message.string(1, model)
  message.string(2, version)
  message.integer(3, Int64(rows))
  for name in order ?? columns.keys.sorted() {
    message.message(4) { column in
      column.string(1, name)
      columns[name]!(&column)
    }
  }
  message.bool(5, ignoreExtra)
  return message.bytes
}

private struct Answer {
  var model = ""
  var version = ""
  var rows = 0
  var instance = ""
  var first: UInt64 = 0
  var labels: [String] = []
  var classes: [String] = []
  var probabilities: [Float] = []
  var decisions: [Bool] = []
  var decisionClass = ""
  var threshold = 0.0

  /// Read by protobuf-c, so that what is written is checked against a second opinion.
  init(_ bytes: [UInt8]) throws {
    let message = try #require(martlet__v1__score_response__unpack(nil, bytes.count, bytes))
    defer { martlet__v1__score_response__free_unpacked(message, nil) }
    model = String(cString: message.pointee.model)
    version = String(cString: message.pointee.version)
    rows = Int(message.pointee.rows)
    instance = String(cString: message.pointee.instance)
    first = message.pointee.first_prediction
    try #require(message.pointee.result_case == MARTLET__V1__SCORE_RESPONSE__RESULT_CLASSIFICATION)
    let result = message.pointee.classification.pointee
    labels = (0..<result.n_text_labels).map { UnsafeRawBufferPointer(result.text_labels[$0]).text }
    classes = (0..<result.n_text_classes).map { UnsafeRawBufferPointer(result.text_classes[$0]).text }
    probabilities = Array(UnsafeBufferPointer(start: result.probabilities, count: result.n_probabilities))
    decisions = (0..<result.n_decisions).map { result.decisions[$0] != 0 }
    decisionClass = UnsafeRawBufferPointer(result.decision_class).text
    threshold = result.decision_threshold
  }
}

extension UnsafeRawBufferPointer {
  fileprivate var text: String { String(decoding: self, as: UTF8.self) }
}

@Suite("martlet.v1.Scoring")
struct ScoringServiceTests {
  private let bench = ServiceBench()

  private func score(_ payload: [UInt8]) throws -> Answer { try Answer(bench.call(bench.scoring, "Score", payload)) }
  private func refusal(_ payload: [UInt8]) -> Status? { bench.refusal(bench.scoring, "Score", payload) }

  @Test("named columns in any order give labels, classes and probabilities")
  func score() throws {
    for order in [["a", "b", "n", "text", "flag", "wide"], ["wide", "flag", "text", "n", "b", "a"]] {
      let answer = try score(request(order: order))
      #expect(answer.model == "fake")
      #expect(answer.version == "7")
      #expect(answer.rows == 2)
      #expect(answer.labels == ["yes", "yes"])
      #expect(answer.classes == ["no", "yes"])
      #expect(answer.probabilities == [0.25, 0.5, 0.75, 0.5])
      #expect(answer.decisions.isEmpty)
    }
    #expect(try score(request(version: "3")).version == "3")
  }

  @Test("prediction ids go on from call to call and name the server's process")
  func predictionIDs() throws {
    let one = try score(request())
    let two = try score(request())
    #expect(one.instance == bench.state.instance)
    #expect(one.instance.count == 16)
    #expect(one.first >> 48 == 2)
    #expect(two.first == one.first + 2)
    #expect(ServiceBench().state.instance != one.instance)
  }

  @Test("a threshold in model.yaml gives a decision for each row")
  func decision() throws {
    var configuration = ModelConfiguration()
    configuration.decision = .init(class: "no", threshold: 0.5)
    let bench = ServiceBench(configuration: configuration)
    let answer = try Answer(bench.call(bench.scoring, "Score", request()))
    #expect(answer.decisions == [false, true])
    #expect(answer.decisionClass == "no")
    #expect(answer.threshold == 0.5)
  }

  struct Case: Sendable {
    let column: String
    let shown: String
    let values: Change

    init(_ column: String, _ shown: String = "", _ values: @escaping Change) {
      self.column = column
      self.shown = shown
      self.values = values
    }
  }

  @Test(
    "numbers convert where nothing is lost",
    arguments: [
      Case("a") { $0.doubles(2, [0.25, 0.75]) }, Case("a") { $0.packed(4, [1, 16_777_216]) },
      Case("a") { $0.packed(6, [1, 0]) }, Case("n") { $0.doubles(2, [0, 3]) }, Case("n") { $0.floats(3, [0, 3]) },
      Case("n") { $0.packed(6, [0, 1]) }, Case("flag") { $0.packed(4, [0, 1]) },
      Case("flag") { $0.doubles(2, [0, 1]) }, Case("wide") { $0.floats(3, [0.1, 2]) },
      Case("wide") { $0.packed(4, [1, -(1 << 53)]) },
    ])
  func converts(_ example: Case) {
    #expect(refusal(request([example.column: example.values])) == nil)
  }

  @Test(
    "what would lose something is refused and names the column, the row and both types",
    arguments: [
      Case("a", "0.1") { $0.doubles(2, [0.25, 0.1]) }, Case("a", "16777217") { $0.packed(4, [0, 16_777_217]) },
      Case("a", "1e+300") { $0.doubles(2, [0, 1e300]) }, Case("n", "0.5") { $0.doubles(2, [1, 0.5]) },
      Case("n", "nan") { $0.doubles(2, [1, .nan]) },
      Case("n", "9.223372036854776e+18") { $0.doubles(2, [1, 9_223_372_036_854_775_808]) },
      Case("flag", "2") { $0.packed(4, [1, 2]) },
      Case("wide", "9007199254740993") { $0.packed(4, [0, 9_007_199_254_740_993]) },
      Case("a", "\"x\"") { message in for _ in 0..<2 { message.element(5, "x") } },
      Case("text", "1.5") { $0.floats(3, [1.5, 1.5]) },
      Case("text", "text") { message in for _ in 0..<2 { message.data(5, [0xff]) } },
    ])
  func refuses(_ example: Case) throws {
    let status = try #require(refusal(request([example.column: example.values])))
    #expect(status.code == .invalidArgument)
    #expect(status.message.contains("\"\(example.column)\""))
    #expect(status.message.contains("row "))
    #expect(status.message.contains(example.shown), "\(status.message)")
    // The refused rows leave nothing behind.
    #expect(refusal(request()) == nil)
  }

  @Test("missing values go where the model has a rule for them, by mask or by leaving the column out")
  func missing() throws {
    let masked = try score(
      request([
        "a": {
          $0.floats(3, [0.25, 99])
          $0.data(7, [0b01])
        }
      ]))
    #expect(masked.probabilities[0] == 0.25)
    #expect(masked.probabilities[2].isNaN)
    #expect(try score(request(["a": nil])).probabilities[0].isNaN)
    #expect(try score(request(["a": { $0.data(7, [0]) }])).probabilities[2].isNaN)
    let text = try score(
      request([
        "text": {
          $0.element(5, "no")
          $0.element(5, "yes")
          $0.data(7, [0b01])
        }
      ]))
    #expect(text.rows == 2)
    let status = try #require(
      refusal(
        request([
          "b": {
            $0.floats(3, [1, 2])
            $0.data(7, [0b01])
          }
        ])))
    #expect(status.code == .invalidArgument)
    #expect(status.message.contains("\"b\"") && status.message.contains("row 1"))
    let mask = try #require(
      refusal(
        request([
          "a": {
            $0.floats(3, [1, 2])
            $0.data(7, [1, 1])
          }
        ])))
    #expect(mask.message.contains("mask"))
  }

  @Test("absent columns are named, extra ones refused unless they are to be ignored, doubles refused")
  func columns() throws {
    let absent = try #require(refusal(request(["b": nil, "n": nil])))
    #expect(absent.code == .invalidArgument)
    #expect(absent.message.contains("b, n"))
    let extra: [String: Change?] = ["zzz": { $0.floats(3, [1, 2]) }]
    let refused = try #require(refusal(request(extra)))
    #expect(refused.message.contains("\"zzz\""))
    #expect(refusal(request(ignoreExtra: true, extra)) == nil)
    let twice = try #require(refusal(request(order: ["a", "a", "b", "n", "text", "flag", "wide"])))
    #expect(twice.message.contains("twice"))
  }

  @Test("counts that do not fit are refused")
  func counts() throws {
    #expect(refusal(request(rows: 0))?.code == .invalidArgument)
    #expect(refusal(request(rows: 1_001))?.code == .invalidArgument)
    let wrong = try #require(refusal(request(rows: 3)))
    #expect(wrong.message.contains("2 values"))
    let two = try #require(
      refusal(
        request([
          "a": {
            $0.floats(3, [1, 2])
            $0.doubles(2, [1, 2])
          }
        ])))
    #expect(two.message.contains("2 fields"))
  }

  @Test("rows that did not come are refused before room is made for them")
  func rowsWithoutValues() throws {
    let bench = ServiceBench(rowsPerCall: 50_000_000)
    let refusal = try #require(bench.refusal(bench.scoring, "Score", request(rows: 40_000_000)))
    #expect(refusal.code == .invalidArgument)
    #expect(refusal.message.contains("2 values"))
  }

  @Test("a model that is not there, or cannot be served, is told apart")
  func models() {
    #expect(refusal(request(model: "nobody"))?.code == .notFound)
    #expect(refusal(request(version: "4"))?.code == .notFound)
    let broken = refusal(request(model: "broken"))
    #expect(broken?.code == .unavailable)
    #expect(broken?.message.contains("malformed") == true)
    #expect(refusal(request(model: "fa\u{0}ke"))?.code == .invalidArgument)
    #expect(refusal([0x0a, 0x99])?.code == .invalidArgument)
  }

  @Test("a message that would unpack into too much memory is refused as such")
  func memory() {
    var message = ProtoBuffer()
    for _ in 0..<100_000 { message.message(4) { _ in } }
    #expect(refusal(message.bytes)?.code == .resourceExhausted)
  }

  @Test("Null answers as many bytes as asked", arguments: [0, 1, 300, 100_000])
  func null(_ count: Int) throws {
    var message = ProtoBuffer()
    message.integer(2, Int64(count))
    let answer = try bench.call(bench.scoring, "Null", message.bytes)
    let read = try #require(martlet__v1__null_response__unpack(nil, answer.count, answer))
    defer { martlet__v1__null_response__free_unpacked(read, nil) }
    #expect(read.pointee.payload.len == count)
    var much = ProtoBuffer()
    much.integer(2, 5 << 20)
    #expect(bench.refusal(bench.scoring, "Null", much.bytes)?.code == .invalidArgument)
  }

  @Test("Describe tells the columns, their types and the outputs")
  func describe() throws {
    var message = ProtoBuffer()
    message.string(1, "fake")
    let answer = try bench.call(bench.scoring, "Describe", message.bytes)
    let read = try #require(martlet__v1__describe_response__unpack(nil, answer.count, answer))
    defer { martlet__v1__describe_response__free_unpacked(read, nil) }
    let columns = (0..<read.pointee.n_columns).map { read.pointee.columns[$0]!.pointee }
    #expect(columns.map { String(cString: $0.name) } == ["a", "b", "n", "text", "flag", "wide"])
    #expect(columns.map { $0.type.rawValue } == [2, 2, 3, 4, 5, 1])
    #expect(columns.map { $0.missing_allowed != 0 } == [true, false, false, true, false, true])
    #expect(read.pointee.n_versions == 2)
    #expect(String(cString: read.pointee.outputs[1]!.pointee.role) == "probability")
    #expect(read.pointee.outputs[1]!.pointee.n_text_classes == 2)
  }
}
