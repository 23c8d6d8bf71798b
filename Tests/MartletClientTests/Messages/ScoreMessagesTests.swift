import CProtobufC
import CProtos
import MartletCore
import Testing

@testable import MartletClient

/// Responses packed by protobuf-c.
enum ResponseBytes {
  /// Three rows, text labels, two classes with double probabilities, a decision.
  static let classification: [UInt8] = {
    var arena = CArena()
    defer { arena.free() }
    var result = Martlet__V1__Classification()
    martlet__v1__classification__init(&result)
    (result.n_text_labels, result.text_labels) = arena.texts(["good", "bad", "good"])
    (result.n_text_classes, result.text_classes) = arena.texts(["bad", "good"])
    (result.n_double_probabilities, result.double_probabilities) = arena.array([0.25, 0.75, 0.625, 0.375, 0, 1])
    (result.n_decisions, result.decisions) = arena.array([1, 0, 1])
    result.decision_class = arena.bytes("good")
    result.decision_threshold = 0.5
    return pack { response in
      response.result_case = MARTLET__V1__SCORE_RESPONSE__RESULT_CLASSIFICATION
      response.classification = arena.place(result)
    }
  }()

  static func pack(_ fill: (inout Martlet__V1__ScoreResponse) -> Void) -> [UInt8] {
    var arena = CArena()
    defer { arena.free() }
    var response = Martlet__V1__ScoreResponse()
    martlet__v1__score_response__init(&response)
    response.model = arena.string("credit")
    response.version = arena.string("2")
    response.rows = 3
    response.instance = arena.string("abc")
    response.first_prediction = 40
    fill(&response)
    var bytes = [UInt8](repeating: 0, count: martlet__v1__score_response__get_packed_size(&response))
    let written = martlet__v1__score_response__pack(&response, &bytes)
    precondition(written == bytes.count)
    return bytes
  }
}

@Suite struct ScoreMessagesTests {
  @Test("a request of every column type reads the same in protobuf-c")
  func request() throws {
    let request = ScoreRequest(
      model: "credit", version: "3",
      columns: [
        Column(name: "a", values: .doubles([1.5, -.infinity, .leastNonzeroMagnitude])),
        Column(name: "b", values: .floats([0.1, 2, -3])),
        Column(name: "c", values: .integers([.min, 0, .max]), present: [true, false, true]),
        Column(name: "d", values: .texts(["", "naïve", "a\0b"])),
        Column(name: "e", values: .booleans([true, false, true])),
      ], ignoreExtraColumns: true)
    let bytes = request.encoded()
    let message = try #require(martlet__v1__score_request__unpack(nil, bytes.count, bytes))
    defer { martlet__v1__score_request__free_unpacked(message, nil) }
    #expect(String(cString: message.pointee.model) == "credit")
    #expect(String(cString: message.pointee.version) == "3")
    #expect(message.pointee.rows == 3)
    #expect(message.pointee.ignore_extra_columns != 0)
    #expect(message.pointee.n_columns == 5)
    let columns = (0..<5).compactMap { message.pointee.columns[$0]?.pointee }
    #expect(columns.map { String(cString: $0.name) } == ["a", "b", "c", "d", "e"])
    #expect(
      Array(UnsafeBufferPointer(start: columns[0].doubles, count: columns[0].n_doubles)) == [
        1.5, -.infinity, .leastNonzeroMagnitude,
      ])
    #expect(Array(UnsafeBufferPointer(start: columns[1].floats, count: columns[1].n_floats)) == [0.1, 2, -3])
    #expect(Array(UnsafeBufferPointer(start: columns[2].integers, count: columns[2].n_integers)) == [.min, 0, .max])
    #expect(columns[2].present.len == 1)
    #expect(columns[2].present.data[0] == 0b101)
    let texts = (0..<columns[3].n_texts).map { index in
      let text = columns[3].texts[index]
      return String(decoding: UnsafeBufferPointer(start: text.data, count: text.len), as: UTF8.self)
    }
    #expect(texts == ["", "naïve", "a\0b"])
    #expect(columns[3].present.len == 0)
    #expect(columns[4].n_booleans == 3)
  }

  @Test("a classification packed by protobuf-c is read with its labels, classes, probabilities and decision")
  func classification() throws {
    let response = try ScoreResponse(decoding: ResponseBytes.classification)
    #expect(response.model == "credit")
    #expect(response.version == "2")
    #expect(response.rows == 3)
    #expect(response.predictionID(row: 2).map { "\($0.instance)/\($0.number)" } == "abc/42")
    #expect(response.predictionID(row: 3) == nil)
    #expect(
      response.result
        == .classification(
          Classification(
            labels: .text(["good", "bad", "good"]), classes: .text(["bad", "good"]),
            probabilities: .doubles([0.25, 0.75, 0.625, 0.375, 0, 1]),
            decision: .init(reached: [true, false, true], decisionClass: "good", threshold: 0.5))))
  }

  @Test("a regression and named outputs packed by protobuf-c are read")
  func others() throws {
    var arena = CArena()
    defer { arena.free() }
    var regression = Martlet__V1__Regression()
    martlet__v1__regression__init(&regression)
    (regression.n_values, regression.values) = arena.array([1, 2, 3, 4, 5, 6] as [Float])
    regression.targets = 2
    let first = try ScoreResponse(
      decoding: ResponseBytes.pack {
        $0.result_case = MARTLET__V1__SCORE_RESPONSE__RESULT_REGRESSION
        $0.regression = arena.place(regression)
      })
    #expect(first.result == .regression(Regression(values: .floats([1, 2, 3, 4, 5, 6]), targets: 2)))

    var output = Martlet__V1__NamedOutput()
    martlet__v1__named_output__init(&output)
    output.name = arena.string("cluster")
    output.width = 1
    (output.n_integers, output.integers) = arena.array([7, -8, 9] as [Int64])
    var outputs = Martlet__V1__NamedOutputs()
    martlet__v1__named_outputs__init(&outputs)
    (outputs.n_outputs, outputs.outputs) = arena.array([Optional(arena.place(output))])
    let second = try ScoreResponse(
      decoding: ResponseBytes.pack {
        $0.result_case = MARTLET__V1__SCORE_RESPONSE__RESULT_OUTPUTS
        $0.outputs = arena.place(outputs)
      })
    #expect(second.result == .outputs([NamedOutput(name: "cluster", width: 1, values: .integers([7, -8, 9]))]))
  }

  @Test("a response whose counts contradict each other is refused")
  func contradictions() {
    #expect(throws: MessageError.self) { try ScoreResponse(decoding: []) }
    var arena = CArena()
    defer { arena.free() }
    var labels = Martlet__V1__Classification()
    martlet__v1__classification__init(&labels)
    (labels.n_integer_labels, labels.integer_labels) = arena.array([1, 2] as [Int64])
    let pointer = arena.place(labels)
    #expect(throws: MessageError("classification has 0 text and 2 integer labels for 3 rows")) {
      try ScoreResponse(
        decoding: ResponseBytes.pack {
          $0.result_case = MARTLET__V1__SCORE_RESPONSE__RESULT_CLASSIFICATION
          $0.classification = pointer
        })
    }
    var regression = Martlet__V1__Regression()
    martlet__v1__regression__init(&regression)
    (regression.n_double_values, regression.double_values) = arena.array([1, 2, 3, 4] as [Double])
    let second = arena.place(regression)
    #expect(throws: MessageError("regression has 4 values, expected 3 rows x 1 targets")) {
      try ScoreResponse(
        decoding: ResponseBytes.pack {
          $0.result_case = MARTLET__V1__SCORE_RESPONSE__RESULT_REGRESSION
          $0.regression = second
        })
    }
  }

  @Test("a request with a column of another length is refused before it is sent")
  func validation() {
    #expect(throws: MessageError("column \"b\" has 1 values, expected 2")) {
      try ScoreRequest(
        model: "m", columns: [Column(name: "a", values: .doubles([1, 2])), Column(name: "b", values: .doubles([1]))]
      ).validate()
    }
    #expect(throws: MessageError.self) { try ScoreRequest(model: "m", columns: []).validate() }
  }
}

/// Memory for C messages of a test, freed together.
struct CArena {
  private var blocks: [UnsafeMutableRawPointer] = []

  mutating func array<Element>(_ values: [Element]) -> (Int, UnsafeMutablePointer<Element>) {
    let pointer = UnsafeMutablePointer<Element>.allocate(capacity: max(1, values.count))
    pointer.initialize(from: values, count: values.count)
    blocks.append(UnsafeMutableRawPointer(pointer))
    return (values.count, pointer)
  }

  mutating func array(_ values: [Int]) -> (Int, UnsafeMutablePointer<protobuf_c_boolean>) {
    array(values.map { protobuf_c_boolean($0) })
  }

  mutating func place<Element>(_ value: Element) -> UnsafeMutablePointer<Element> { array([value]).1 }

  mutating func string(_ text: String) -> UnsafeMutablePointer<CChar> { array(Array(text.utf8CString)).1 }

  mutating func bytes(_ text: String) -> ProtobufCBinaryData {
    let (count, data) = array(Array(text.utf8))
    return ProtobufCBinaryData(len: count, data: data)
  }

  mutating func texts(_ texts: [String]) -> (Int, UnsafeMutablePointer<ProtobufCBinaryData>) {
    var entries: [ProtobufCBinaryData] = []
    for text in texts { entries.append(bytes(text)) }
    return array(entries)
  }

  mutating func free() {
    for block in blocks { block.deallocate() }
    blocks = []
  }
}
