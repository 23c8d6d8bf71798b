import Foundation
import MartletCore
import Synchronization
import Testing

@testable import MartletClient
@testable import martlet

/// Answers each row with its `x`, doubled; a batch with a negative `x` is refused as a server refuses it.
private final class FakeTransport: ScoreTransport {
  let batchesInFlight = 3
  let calls = Mutex(0)
  let version: @Sendable (Int) -> String
  let failure: ClientError?

  init(failure: ClientError? = nil, version: @escaping @Sendable (Int) -> String = { _ in "1" }) {
    self.failure = failure
    self.version = version
  }

  func describe(_ request: DescribeRequest) async throws(ClientError) -> DescribeResponse { DescribeResponse() }

  func score(_ request: ScoreRequest) async throws(ClientError) -> ScoreResponse {
    let call = calls.withLock { calls in
      calls += 1
      return calls
    }
    // Later batches are done first.
    if call % 3 == 1 { try? await Task.sleep(for: .milliseconds(3)) }
    if let failure { throw failure }
    guard case .doubles(let values) = request.columns[0].values else {
      throw ClientError(.internalError, "x is no double")
    }
    guard values.allSatisfy({ $0 >= 0 }) else {
      throw ClientError(.invalidArgument, "columns: \"x\" is negative", origin: .server)
    }
    return ScoreResponse(
      model: "m", version: version(call), rows: values.count,
      predictions: [.init(instance: "i", first: 0, rows: values.count)],
      result: .regression(Regression(values: .doubles(values.map { $0 * 2 }))))
  }

  func close() async {}
}

@Suite struct ScorePipelineTests {
  private struct Run {
    var output = ""
    var rejects = ""
    var summary: ScorePipeline.Summary?
    var failure: Failure?
    var calls = 0
  }

  private func run(
    _ input: String, stops: Bool = true, keep: [String] = [], rows: Int = 4, transport: FakeTransport = FakeTransport()
  ) async throws -> Run {
    var model = DescribeResponse()
    model.model = "m"
    model.columns = [ColumnDescription(name: "x", type: .double, missingAllowed: false)]
    let directory = NSTemporaryDirectory() + "martlet-pipeline-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let reader = try RowReader(ByteSource(Array(input.utf8)))
    var run = Run()
    do {
      var pipeline = ScorePipeline(
        reader, RequestBuilder(model, passedOver: Set(keep)), transport,
        options: .init(rowsPerBatch: rows, keep: keep, stopsAtFirst: stops), writer: CSVRowWriter(),
        output: try OutputFile(creating: directory + "/out"), rejects: try RejectFile(creating: directory + "/rejects"),
        progress: ProgressLine(isShown: false))
      do {
        run.summary = try await pipeline.run()
      } catch let failure as Failure {
        run.failure = failure
      }
    }
    run.output = try String(contentsOfFile: directory + "/out", encoding: .utf8)
    run.rejects = try String(contentsOfFile: directory + "/rejects", encoding: .utf8)
    run.calls = transport.calls.withLock { $0 }
    return run
  }

  private func csv(_ values: [String]) -> String { "x\n" + values.joined(separator: "\n") + "\n" }

  @Test("batches are scored several at a time and written in the order of their rows")
  func order() async throws {
    let run = try await run(csv((0..<1_001).map(String.init)))
    #expect(run.output == "value\n" + (0..<1_001).map { "\(Double($0) * 2)\n" }.joined())
    #expect(run.summary == .init(scored: 1_001, rejected: 0))
    #expect(run.calls == 251)
  }

  @Test("kept columns come first, as they came in")
  func keep() async throws {
    let first = try await run("id,x,note\nA-1,1,\"a, b\"\n7,2,\n", keep: ["note", "id"])
    #expect(first.output == "note,id,value\n\"a, b\",A-1,2.0\n,7,4.0\n")
    let second = try await run("{\"x\":1,\"id\":7}\n{\"x\":2}\n{\"id\":\"b\",\"x\":3}\n", keep: ["id"])
    #expect(second.output == "id,value\n7,2.0\n,4.0\nb,6.0\n")
  }

  @Test("under skip, rows that cannot be read and rows that the server refuses are rejected, and the others scored")
  func skip() async throws {
    let run = try await run(
      csv(["0", "1", "two", "-3", "4", "5", "6", "-7", "8", "9,9", "10"]), stops: false)
    #expect(run.output == "value\n0.0\n2.0\n8.0\n10.0\n12.0\n16.0\n20.0\n")
    #expect(run.summary == .init(scored: 7, rejected: 4))
    #expect(
      run.rejects == """
        row,line,column,reason,original
        3,4,x,"\"\"two\"\" came, expected a number",two
        4,5,,"columns: \"\"x\"\" is negative",-3
        8,9,,"columns: \"\"x\"\" is negative",-7
        10,11,,"2 fields came, expected 1 as in the first line","9,9"

        """)
  }

  @Test("under stop, the rows before the bad one are written, and the failure names it")
  func stop() async throws {
    let unreadable = try await run(csv((0..<10).map(String.init) + ["ten", "11"]))
    #expect(unreadable.output == "value\n" + (0..<10).map { "\(Double($0) * 2)\n" }.joined())
    #expect(unreadable.failure?.status == .negative)
    #expect(unreadable.failure?.message == "row 11 (line 12), column \"x\": \"ten\" came, expected a number")
    #expect(unreadable.failure?.hint?.contains("--on-error skip") == true)
    let refused = try await run(csv(["0", "1", "2", "3", "4", "5", "-6", "-7", "8"]))
    #expect(refused.output == "value\n0.0\n2.0\n4.0\n6.0\n8.0\n10.0\n")
    #expect(refused.failure?.message == "row 7 (line 8): columns: \"x\" is negative")
  }

  @Test("a batch of bad rows is not asked row by row without end")
  func bounded() async throws {
    let run = try await run(csv([String](repeating: "-1", count: 4_096)), stops: false, rows: 4_096)
    #expect(run.summary == .init(scored: 0, rejected: 4_096))
    #expect(run.calls <= 300)
    #expect(run.rejects.split(separator: "\n").count == 4_097)
  }

  @Test("an error that is not a row's fault ends the run, even under skip, and says where")
  func failure() async throws {
    let gone = ClientError(.unavailable, "cannot connect", address: "ttrpc://h:1", origin: .connection)
    let run = try await run(csv(["1", "2"]), stops: false, transport: FakeTransport(failure: gone))
    #expect(run.failure?.status == .unreachable)
    #expect(run.failure?.message == "UNAVAILABLE: cannot connect (ttrpc://h:1), at row 1 (line 2)")
    #expect(run.calls == 1)
  }

  @Test("rows that two versions scored are not written under one header")
  func versions() async throws {
    let run = try await run(
      csv((0..<12).map(String.init)), transport: FakeTransport(version: { $0 < 3 ? "1" : "2" }))
    #expect(run.failure?.message == "the model changed from version 1 to 2 while rows were scored")
  }

  @Test("an input without rows writes nothing")
  func empty() async throws {
    let run = try await run("x\n")
    #expect(run.output == "")
    #expect(run.summary == .init())
    #expect(run.calls == 0)
  }
}
