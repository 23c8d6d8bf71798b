/// Aligned columns for people: numbers to the right, text to the left.
///
/// The first rows decide the widths; a stream's later rows that are wider push their line out rather than wait for the
/// end.
struct TableRowWriter: RowWriter {
  private static let rowsHeldBack = 200

  private var columns: [String] = []
  private var held: [[OutputCell]] = []
  private var widths: [Int] = []
  private var isRight: [Bool] = []
  private var hasBegun = false

  mutating func begin(_ columns: [String], _ file: inout OutputFile) throws(Failure) {
    self.columns = columns
  }

  mutating func row(_ cells: [OutputCell], _ file: inout OutputFile) throws(Failure) {
    guard !hasBegun else {
      try write(cells, &file)
      return
    }
    held.append(cells)
    if held.count == Self.rowsHeldBack { try release(&file) }
  }

  mutating func pause(_ file: inout OutputFile) throws(Failure) {
    if !hasBegun, !columns.isEmpty { try release(&file) }
    try file.flush()
  }

  private mutating func release(_ file: inout OutputFile) throws(Failure) {
    hasBegun = true
    widths = columns.map(\.count)
    isRight = columns.indices.map { column in
      !held.isEmpty && held.allSatisfy { $0[column].isNumber || $0[column] == .missing }
    }
    for row in held {
      for (column, cell) in row.enumerated() { widths[column] = max(widths[column], shown(cell).count) }
    }
    try write(columns.map { .text($0) }, &file)
    for row in held { try write(row, &file) }
    held = []
  }

  private func write(_ cells: [OutputCell], _ file: inout OutputFile) throws(Failure) {
    var line = ""
    for (column, cell) in cells.enumerated() {
      let text = shown(cell)
      let padding = String(repeating: " ", count: max(0, widths[column] - text.count))
      if column > 0 { line += "  " }
      line += isRight[column] ? padding + text : text + padding
    }
    while line.last == " " { line.removeLast() }
    try file.write(line + "\n")
  }

  /// A cell on one line: what would move the cursor is shown as a space.
  private func shown(_ cell: OutputCell) -> String {
    let text = cell == .missing ? "-" : cell.plain
    guard text.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7f }) else { return text }
    var clean = ""
    for scalar in text.unicodeScalars {
      clean.unicodeScalars.append(scalar.value < 0x20 || scalar.value == 0x7f ? " " : scalar)
    }
    return clean
  }
}
