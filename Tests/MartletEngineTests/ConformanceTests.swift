import Foundation
import MartletCore
import Testing

@testable import MartletEngine

/// The standard's node tests of every accepted operator, from the directory that MARTLET_CONFORMANCE names.
///
/// What is left out is in docs/conformance.md, by reason: a case is left out because of what its model holds, or because
/// it is in `exceptions`. Any other case has to pass, and an exception that passes is one no more.
@Suite("Conformance with the ONNX standard")
struct ConformanceTests {
  /// Cases that are refused for what they ask, not for types or operators.
  private static let exceptions: [(reason: String, cases: [String])] = [
    (
      "`Dropout` in training, which draws random numbers",
      [
        "test_training_dropout", "test_training_dropout_default", "test_training_dropout_default_mask",
        "test_training_dropout_mask", "test_training_dropout_zero_ratio", "test_training_dropout_zero_ratio_mask",
      ]
    )
  ]

  private struct Report {
    var passed = 0
    var leftOut: [String: [String]] = [:]
    var failures: [String] = []
    var total: Int { passed + leftOut.values.reduce(0) { $0 + $1.count } + failures.count }
  }

  @Test(
    "the standard's cases are there", .enabled(if: ConformanceCase.all().isEmpty, "MARTLET_CONFORMANCE is set"))
  func sayWhatIsMissing() {
    print("MARTLET_CONFORMANCE names no cases of the standard, so none is run: see Tests/Golden/README.md")
  }

  @Test(
    "every node test of an accepted operator passes, or is left out for a reason that is written down",
    .enabled(if: !ConformanceCase.all().isEmpty))
  func conforms() throws {
    let report = run(ConformanceCase.all())
    for failure in report.failures { Issue.record("\(failure)") }
    let summary = self.summary(report)
    print(summary)
    let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "docs/conformance.md")
    let begin = "<!-- cases -->\n"
    var text = try String(contentsOf: file, encoding: .utf8)
    let start = try #require(text.range(of: begin)).upperBound
    let stop = try #require(text.range(of: "<!-- end of cases -->")).lowerBound
    if ProcessInfo.processInfo.environment["MARTLET_WRITE_DOCS"] == "1" {
      text.replaceSubrange(start..<stop, with: summary)
      try text.write(to: file, atomically: true, encoding: .utf8)
    } else {
      #expect(text[start..<stop] == summary, "write it again with MARTLET_WRITE_DOCS=1")
    }
  }

  private func run(_ cases: [ConformanceCase]) -> Report {
    var report = Report()
    let exceptions = Dictionary(
      uniqueKeysWithValues: Self.exceptions.flatMap { entry in entry.cases.map { ($0, entry.reason) } })
    for one in cases {
      do {
        let difference = try one.difference()
        if exceptions[one.name] != nil { report.failures.append("\(one.name) is an exception, but is taken") }
        if let difference { report.failures.append("\(one.name): \(difference)") } else { report.passed += 1 }
      } catch let out as ConformanceCase.LeftOut {
        report.leftOut[out.reason, default: []].append(one.name)
      } catch {
        if let reason = exceptions[one.name] {
          report.leftOut[reason, default: []].append(one.name)
        } else {
          report.failures.append("\(one.name): \(error)")
        }
      }
    }
    return report
  }

  /// Counts and reasons as docs/conformance.md has them.
  private func summary(_ report: Report) -> String {
    var text = """

      Of \(report.total) cases \(report.passed) pass, and \(report.total - report.passed) are left out:

      | cases | left out because of |
      |---|---|

      """
    let reasons = report.leftOut.sorted { ($1.value.count, $0.key) < ($0.value.count, $1.key) }
    for (reason, cases) in reasons { text += "| \(cases.count) | \(reason) |\n" }
    if !report.failures.isEmpty { text += "\n\(report.failures.count) fail.\n" }
    return text + "\n"
  }
}
