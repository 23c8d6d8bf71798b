import Foundation
import MartletClient
import MartletCore
import Testing

@Suite struct DocumentationTests {
  /// The example of `MartletClient`, word for word; it compiles here, and is run where there is a server.
  static func example() async throws {
    let client = try MartletClient("ttrpc://127.0.0.1:8001")
    let request = ScoreRequest(
      model: "credit-risk",
      columns: [
        Column(name: "age", values: .integers([35, 52])),
        Column(name: "purpose", values: .texts(["car", "education"])),
      ])
    let response = try await client.score(request, timeout: .milliseconds(250))
    if case .classification(let classification) = response.result {
      for row in 0..<response.rows { print(classification.labels.text(row)) }
    }
    await client.close()
  }

  @Test("the example in the client's documentation is the one that compiles here")
  func sameExample() throws {
    let here = URL(fileURLWithPath: #filePath)
    let root = here.deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let source = try String(
      contentsOf: root.appending(path: "Sources/MartletClient/MartletClient.swift"), encoding: .utf8)
    let documented = source.split(separator: "\n").filter { $0.hasPrefix("///     ") }.map {
      $0.dropFirst(4).drop { $0 == " " }
    }
    let compiled = try String(contentsOf: here, encoding: .utf8).split(separator: "\n").map { $0.drop { $0 == " " } }
    #expect(documented.count > 10)
    let start = try #require(compiled.firstIndex { $0 == documented[0] })
    #expect(Array(compiled[start..<start + documented.count]) == documented)
  }
}
