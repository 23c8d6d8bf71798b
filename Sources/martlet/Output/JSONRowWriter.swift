/// One JSON object a line.
struct JSONRowWriter: RowWriter {
  private var names: [String] = []

  mutating func begin(_ columns: [String], _ file: inout OutputFile) throws(Failure) {
    names = columns.map { JSONText.string($0) + ": " }
  }

  mutating func row(_ cells: [OutputCell], _ file: inout OutputFile) throws(Failure) {
    var line = "{"
    for (index, cell) in cells.enumerated() {
      if index > 0 { line += ", " }
      line += names[index]
      line += cell.json
    }
    try file.write(line + "}\n")
  }

  mutating func pause(_ file: inout OutputFile) throws(Failure) { try file.flush() }
}
