import MartletCore
import Testing

/// A row or problem as a test compares it.
enum ReadRow: Equatable {
  case row([String?])
  case problem(RowProblem)
}

/// Everything that a text of rows holds.
func read(_ text: String, _ format: RowReader.Format? = nil) throws -> (columns: [String], rows: [ReadRow]) {
  var reader = try RowReader(ByteSource(Array(text.utf8)), format: format)
  var rows: [ReadRow] = []
  var row = InputRow()
  while true {
    switch try reader.next(&row) {
    case .row: rows.append(.row(row.cells.map { $0.kind == .absent || $0.kind == .null ? nil : row.text($0) }))
    case .problem(let problem): rows.append(.problem(problem))
    case .idle: Issue.record("bytes in memory do not pause")
    case .end: return (reader.columns, rows)
    }
  }
}
