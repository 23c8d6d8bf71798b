import MartletCore
import Testing

@testable import MartletClient

@Suite struct SplittingTests {
  private func request(rows: Int) -> ScoreRequest {
    var random = SplitMix(state: 3)
    let texts = (0..<rows).map { String(repeating: "t", count: $0 % 37) }
    let integers = (0..<rows).map { _ in Int64.random(in: .min ... .max, using: &random) }
    return ScoreRequest(
      model: "m",
      columns: [
        Column(name: "x", values: .doubles((0..<rows).map(Double.init))),
        Column(name: "n", values: .integers(integers), present: (0..<rows).map { $0 % 3 != 0 }),
        Column(name: "t", values: .texts(texts)),
      ])
  }

  @Test("every part fits, and the parts together are the request", arguments: [400, 1_000, 50_000])
  func parts(maximumBytes: Int) throws {
    let whole = request(rows: 1_000)
    let parts = try whole.parts(maximumBytes: maximumBytes, maximumRows: 300)
    var joined: [Column] = whole.slice(0..<0).columns
    for part in parts {
      #expect(part.encoded().count <= maximumBytes)
      #expect(part.rows <= 300)
      try part.validate()
      for (index, column) in part.columns.enumerated() {
        joined[index].present = (joined[index].present ?? []) + (column.present ?? [])
        switch (joined[index].values, column.values) {
        case (.doubles(let a), .doubles(let b)): joined[index].values = .doubles(a + b)
        case (.integers(let a), .integers(let b)): joined[index].values = .integers(a + b)
        case (.texts(let a), .texts(let b)): joined[index].values = .texts(a + b)
        default: Issue.record("a part changed a column's type")
        }
      }
    }
    #expect(joined.map(\.values) == whole.columns.map(\.values))
    #expect(joined[1].present == whole.columns[1].present)
    #expect(parts.reduce(0) { $0 + $1.rows } == 1_000)
  }

  @Test("a request that fits is one part")
  func small() throws {
    let whole = request(rows: 10)
    #expect(try whole.parts(maximumBytes: 1 << 20, maximumRows: 10) == [whole])
  }

  @Test("a row that does not fit is refused with its number")
  func hugeRow() {
    let request = ScoreRequest(
      model: "m", columns: [Column(name: "t", values: .texts(["a", String(repeating: "b", count: 2_000)]))])
    let error = #expect(throws: MessageError.self) { try request.parts(maximumBytes: 1_000, maximumRows: 100) }
    #expect(error?.description.contains("row 2 takes 20") == true)
  }

  private func response(labels: [String], first: UInt64, version: String = "1") -> ScoreResponse {
    ScoreResponse(
      model: "m", version: version, rows: labels.count,
      predictions: [.init(instance: "i", first: first, rows: labels.count)],
      result: .classification(
        Classification(
          labels: .text(labels), classes: .text(["a", "b"]),
          probabilities: .floats(labels.flatMap { $0 == "a" ? [0.9, 0.1] : [0.2, 0.8] }),
          decision: .init(reached: labels.map { $0 == "b" }, decisionClass: "b", threshold: 0.5))))
  }

  @Test("answers are joined in order, and each row keeps its prediction's number")
  func joining() throws {
    let whole = try ScoreResponse.joining([
      response(labels: ["a", "b"], first: 10), response(labels: ["b"], first: 90), response(labels: ["a"], first: 5),
    ])
    #expect(whole.rows == 4)
    guard case .classification(let result) = whole.result else {
      Issue.record("another kind of result")
      return
    }
    #expect(result.labels == .text(["a", "b", "b", "a"]))
    #expect(result.probabilities == .floats([0.9, 0.1, 0.2, 0.8, 0.2, 0.8, 0.9, 0.1]))
    #expect(result.decision?.reached == [false, true, true, false])
    #expect((0..<4).map { whole.predictionID(row: $0)?.number } == [10, 11, 90, 5])
  }

  @Test("answers of two versions are not joined")
  func versions() {
    #expect(throws: MessageError.self) {
      try ScoreResponse.joining([
        response(labels: ["a"], first: 0), response(labels: ["a"], first: 1, version: "2"),
      ])
    }
  }
}
