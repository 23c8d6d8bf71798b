import Foundation
import Testing

@testable import MartletEngine

@Suite("docs/operators.md")
struct OperatorsDocumentTests {
  private let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "docs/operators.md")
  private let begin = "<!-- tables -->\n"
  private let end = "<!-- end of tables -->"

  /// One table: operators in alphabetical order and the versions that are accepted.
  private func table(_ title: String, _ entries: [OperatorRegistry.Entry]) -> String {
    let byName = Dictionary(grouping: entries, by: \.opType).sorted { $0.key < $1.key }
    let rows = byName.map { name, entries in
      let versions = entries.map(\.opsets).sorted { $0.lowerBound < $1.lowerBound }
        .map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound) to \($0.upperBound)" }
      return "| `\(name)` | \(versions.joined(separator: ", ")) |\n"
    }
    return "\n## \(title)\n\n| operator | versions |\n|---|---|\n" + rows.joined()
  }

  @Test("lists what the registry has")
  func listsTheRegistry() throws {
    var text = try String(contentsOf: file, encoding: .utf8)
    let start = try #require(text.range(of: begin)).upperBound
    let stop = try #require(text.range(of: end)).lowerBound
    let tables =
      table("The default domain, `ai.onnx`", OperatorRegistry.standard)
      + table("The domain `ai.onnx.ml`", OperatorRegistry.machineLearning)
      + table("The domain `com.microsoft`", OperatorRegistry.microsoft)
      + table("The domain `ai.martlet`, which loaders of other formats use", OperatorRegistry.native) + "\n"
    if ProcessInfo.processInfo.environment["MARTLET_WRITE_DOCS"] == "1" {
      text.replaceSubrange(start..<stop, with: tables)
      try text.write(to: file, atomically: true, encoding: .utf8)
    } else {
      #expect(
        String(text[start..<stop]) == tables,
        "write it again: MARTLET_WRITE_DOCS=1 swift test --filter OperatorsDocumentTests")
    }
  }

  @Test("the registry is in alphabetical order and stays within the operator sets")
  func ordersTheRegistry() throws {
    for (domain, entries) in [
      ("", OperatorRegistry.standard), ("ai.onnx.ml", OperatorRegistry.machineLearning),
      ("com.microsoft", OperatorRegistry.microsoft), ("ai.martlet", OperatorRegistry.native),
    ] {
      #expect(entries.map(\.opType) == entries.map(\.opType).sorted())
      let known = try #require(OperatorRegistry.opsets[domain])
      #expect(entries.allSatisfy { known.contains($0.opsets.lowerBound) && known.contains($0.opsets.upperBound) })
    }
  }
}
