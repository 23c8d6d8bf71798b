import Glibc
import MartletCore

/// What a comparison with expected answers came to, as text.
enum VerificationText {
  static let columns = [
    "output", "values", "equal_bits", "different", "undecided", "beyond", "worst_absolute", "at", "worst_relative",
    "at_relative",
  ]

  /// The outputs, one a row; `short` for people, with three digits of an error.
  static func rows(_ report: VerificationReport, short: Bool) -> [[OutputCell]] {
    report.outputs.map { output in
      [
        .text(output.name), .integer(Int64(output.values)), .integer(Int64(output.equal)),
        .integer(Int64(output.different)), .integer(Int64(output.undecided)), .integer(Int64(output.beyond)),
        error(output.worstAbsolute, short), place(output.worstAbsolute), error(output.worstRelative, short),
        place(output.worstRelative),
      ]
    }
  }

  private static func error(_ difference: VerificationReport.Difference?, _ short: Bool) -> OutputCell {
    guard let error = difference?.error else { return .integer(0) }
    guard short else { return .double(error) }
    return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 32) { buffer in
      _ = withVaList([error]) { vsnprintf(buffer.baseAddress!, 32, "%.2e", $0) }
      return .text(String(cString: buffer.baseAddress!))
    }
  }

  private static func place(_ difference: VerificationReport.Difference?) -> OutputCell {
    difference.map { .text("row \($0.row), \($0.column)") } ?? .missing
  }

  static func json(_ report: VerificationReport, model: String) -> String {
    let outputs = report.outputs.map { output in
      JSONText.object([
        ("output", JSONText.string(output.name)), ("values", String(output.values)),
        ("equal_bits", String(output.equal)), ("different", String(output.different)),
        ("undecided", String(output.undecided)), ("beyond", String(output.beyond)),
        ("worst_absolute", json(output.worstAbsolute)), ("worst_relative", json(output.worstRelative)),
        ("first_beyond", json(output.firstBeyond)),
      ])
    }
    return JSONText.object([
      ("model", JSONText.string(model)), ("rows", String(report.rows)),
      ("tolerance", JSONText.string(report.tolerance.description)), ("holds", report.holds ? "true" : "false"),
      ("outputs", JSONText.array(outputs)),
    ])
  }

  private static func json(_ difference: VerificationReport.Difference?) -> String {
    guard let difference else { return "null" }
    return JSONText.object([
      ("row", String(difference.row)), ("column", JSONText.string(difference.column)),
      ("got", JSONText.string(difference.got)), ("expected", JSONText.string(difference.expected)),
      ("error", OutputCell.double(difference.error).json),
    ])
  }
}
