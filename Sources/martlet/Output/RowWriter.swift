/// Writes rows in one of the output formats.
protocol RowWriter {
  /// Names the columns; before the first row, once.
  mutating func begin(_ columns: [String], _ file: inout OutputFile) throws(Failure)
  mutating func row(_ cells: [OutputCell], _ file: inout OutputFile) throws(Failure)
  /// Nothing more comes for now: what was held back is to be seen.
  mutating func pause(_ file: inout OutputFile) throws(Failure)
}

extension OutputFormat {
  func makeWriter() -> any RowWriter {
    switch self {
    case .table: TableRowWriter()
    case .json: JSONRowWriter()
    case .csv: CSVRowWriter()
    }
  }

  /// Writes a table that is known as a whole.
  func write(_ columns: [String], _ rows: [[OutputCell]], _ file: inout OutputFile) throws(Failure) {
    var writer = makeWriter()
    try writer.begin(columns, &file)
    for row in rows { try writer.row(row, &file) }
    try writer.pause(&file)
  }
}
