import Foundation
import Logging
import Testing

@testable import MartletServer

private func line(_ message: String, _ metadata: Logger.Metadata = [:], level: Logger.Level = .info) -> LogLine {
  LogLine(
    time: 1_764_030_609_012_000_000, level: level, label: "martlet.server", message: message, metadata: metadata)
}

private func text(_ line: LogLine) -> String { String(decoding: line.text(), as: UTF8.self) }

private func object(_ line: LogLine) throws -> [String: Any] {
  let bytes = line.json()
  #expect(bytes.last == 0x0A)
  #expect(bytes.dropLast().allSatisfy { $0 >= 0x20 })
  return try #require(try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
}

@Suite("Log lines")
struct LogLineTests {
  @Test("a line for people has time, level, label, message and ordered metadata")
  func people() {
    #expect(
      text(line("model loaded", ["version": "1", "model": "credit risk", "empty": "", "list": ["a", "b"]]))
        == "2025-11-25T00:30:09.012Z info     martlet.server: model loaded empty=\"\" "
        + "list=\"[\\\"a\\\", \\\"b\\\"]\" model=\"credit risk\" version=1\n")
  }

  @Test("a line for collectors is one JSON object with the metadata as members")
  func collectors() throws {
    let object = try object(
      line("said \"no\"", ["model": "a\\b", "message": "taken", "list": ["x", ["y": "z"]]], level: .error))
    #expect(object["time"] as? String == "2025-11-25T00:30:09.012Z")
    #expect(object["level"] as? String == "error")
    #expect(object["logger"] as? String == "martlet.server")
    #expect(object["message"] as? String == "said \"no\"")
    #expect(object["model"] as? String == "a\\b")
    #expect(object["message_"] as? String == "taken")
    let list = try #require(object["list"] as? [Any])
    #expect(list[0] as? String == "x")
    #expect(list[1] as? [String: String] == ["y": "z"])
  }

  @Test("no character of a message or value ends the line or reaches the terminal")
  func controlCharacters() throws {
    let hostile = "a\nb\r\u{1B}[2J\u{0}\u{85}\u{202E}\u{2028}\u{E0001}\t\u{7F}é"
    let shown = text(line(hostile, ["k\n": "\(hostile)"]))
    #expect(shown.utf8.filter { $0 == 0x0A }.count == 1)
    #expect(shown.utf8.dropLast().allSatisfy { $0 >= 0x20 && $0 != 0x7F })
    #expect(shown.contains("a\\nb\\r\\u001b[2J\\u0000\\u0085\\u202e\\u2028\\t\\u007fé k\\n=\"a\\nb"))
    #expect(try object(line(hostile))["message"] as? String == hostile.replacingOccurrences(of: "\u{E0001}", with: ""))
  }

  @Test("a line is never longer than a pipe takes whole, and stays well formed when it is cut")
  func length() throws {
    let long = String(repeating: "\u{1}é", count: 100_000)
    var metadata: Logger.Metadata = [:]
    for index in 0..<100 { metadata["key\(index)"] = "\(long)" }
    let line = line(long, metadata)
    #expect(line.text().count <= LogLine.maximumBytes)
    #expect(text(line).hasSuffix(" …\n"))
    #expect(line.json().count <= LogLine.maximumBytes)
    #expect(try object(line)["truncated"] as? Bool == true)
  }
}
