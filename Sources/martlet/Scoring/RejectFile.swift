import MartletClient

/// Where rows go that could not be scored: a CSV of row, line, column, reason and the row as it came.
struct RejectFile: ~Copyable {
  private var file: OutputFile

  init(creating path: String) throws(Failure) {
    var created = try OutputFile(creating: path)
    try created.write("row,line,column,reason,original\n")
    file = created
  }

  mutating func write(_ reject: ScoreBatch.Reject) throws(Failure) {
    let problem = reject.problem
    let fields = [
      String(problem.row), String(problem.line), problem.column ?? "", problem.message,
      String(decoding: reject.original, as: UTF8.self),
    ]
    try file.write(fields.map(CSVRowWriter.field).joined(separator: ",") + "\n")
  }

  mutating func flush() throws(Failure) { try file.flush() }
}
