/// How the command ends, the same for every subcommand.
enum ExitStatus: Int32, CaseIterable {
  case success = 0
  case negative = 1
  case usage = 2
  case unreachable = 3
  case refused = 4
  case failed = 5

  var meaning: String {
    switch self {
    case .success: "done; for checks: yes"
    case .negative: "rows were rejected; for checks: no (not serving, objective missed)"
    case .usage: "wrong use: an option, a file or a column that does not fit"
    case .unreachable: "no server can be reached, or it did not answer in time"
    case .refused: "the server refused the call (no such model, not ready, not allowed)"
    case .failed: "something else went wrong"
    }
  }

  static let table =
    "Exit codes:\n" + allCases.map { "  \($0.rawValue)  \($0.meaning)" }.joined(separator: "\n")
}
