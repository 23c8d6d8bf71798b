import CProtobufC
import CProtos
import MartletCore
import Synchronization
import Testing

@testable import MartletClient

@Suite struct ScoringTests {
  /// Answers each row with its first column's value, doubled, as version `version(request number)`.
  private func doubling(
    version: @escaping @Sendable (ScriptedServer.Request) -> String = { _ in "1" }
  ) -> @Sendable (ScriptedServer.Request) -> ScriptedServer.Reply {
    { request in
      guard let message = martlet__v1__score_request__unpack(nil, request.payload.count, request.payload) else {
        return .status(3, "not a score request")
      }
      defer { martlet__v1__score_request__free_unpacked(message, nil) }
      guard let column = message.pointee.columns[0]?.pointee else { return .status(3, "no column") }
      let values = UnsafeBufferPointer(start: column.doubles, count: column.n_doubles).map { $0 * 2 }
      let asked = String(cString: message.pointee.version)
      var writer = ProtobufWriter()
      writer.string(1, "m")
      writer.string(2, asked.isEmpty ? version(request) : asked)
      writer.unsigned(3, UInt64(values.count))
      writer.string(4, "i")
      writer.unsigned(5, UInt64(values.first ?? 0))
      writer.message(7) { $0.packed(2, values) }
      return .payload(writer.bytes)
    }
  }

  private func request(_ rows: Int) -> ScoreRequest {
    ScoreRequest(model: "m", columns: [Column(name: "x", values: .doubles((0..<rows).map(Double.init)))])
  }

  @Test("a request of more rows than a call takes is split, and its answers are joined in order")
  func split() async throws {
    let server = ScriptedServer(doubling())
    defer { server.stop() }
    var configuration = ClientConfiguration()
    configuration.maximumRowsPerCall = 100
    configuration.timeout = .seconds(120)
    let client = try MartletClient(server.url, configuration: configuration)
    let response = try await client.score(request(1_050))
    #expect(response.rows == 1_050)
    #expect(response.result == .regression(Regression(values: .doubles((0..<1_050).map { Double($0) * 2 }))))
    #expect(server.requests.count == 11)
    #expect(response.predictions.count == 11)
    #expect(response.predictionID(row: 101)?.number == 201)
    await client.close()
  }

  @Test("when a new version begins to serve in between, all rows are scored by the latest")
  func versions() async throws {
    let server = ScriptedServer(doubling { $0.number < 3 ? "1" : "2" })
    defer { server.stop() }
    var configuration = ClientConfiguration()
    configuration.maximumRowsPerCall = 10
    configuration.maximumPartsInFlight = 1
    configuration.timeout = .seconds(120)
    let client = try MartletClient(server.url, configuration: configuration)
    let response = try await client.score(request(50))
    #expect(response.version == "2")
    #expect(response.rows == 50)
    #expect(server.requests.count == 10)
    await client.close()
  }

  @Test("one part's failure is the request's")
  func failure() async throws {
    let answer = doubling()
    let server = ScriptedServer { $0.number == 2 ? .status(3, "columns: bad") : answer($0) }
    defer { server.stop() }
    var configuration = ClientConfiguration()
    configuration.maximumRowsPerCall = 10
    let client = try MartletClient(server.url, configuration: configuration)
    let error = await #expect(throws: ClientError.self) { try await client.score(request(100)) }
    #expect(error?.code == .invalidArgument)
    #expect(error?.message == "columns: bad")
    await client.close()
  }

  @Test("a request that contradicts itself is refused before it is sent")
  func invalid() async throws {
    let client = try MartletClient("ttrpc://127.0.0.1:1")
    var bad = request(3)
    bad.rows = 4
    let error = await #expect(throws: ClientError.self) { try await client.score(bad) }
    #expect(error?.code == .invalidArgument)
    #expect(error?.origin == .client)
    await client.close()
  }

  @Test("an answer for another number of rows is refused")
  func wrongCount() async throws {
    let answer = doubling()
    let server = ScriptedServer { request in
      var shorter = request
      shorter.payload = ScoreRequest(model: "m", columns: [Column(name: "x", values: .doubles([1]))]).encoded()
      return answer(shorter)
    }
    defer { server.stop() }
    let client = try MartletClient(server.url)
    let error = await #expect(throws: ClientError.self) { try await client.score(request(2)) }
    #expect(error?.message.contains("2 rows were sent and 1 predictions came back") == true)
    await client.close()
  }
}
