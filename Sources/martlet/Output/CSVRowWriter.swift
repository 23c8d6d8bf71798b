/// RFC 4180 with a header; lines end with LF.
struct CSVRowWriter: RowWriter {
  mutating func begin(_ columns: [String], _ file: inout OutputFile) throws(Failure) {
    try file.write(columns.map(Self.field).joined(separator: ",") + "\n")
  }

  mutating func row(_ cells: [OutputCell], _ file: inout OutputFile) throws(Failure) {
    var line = ""
    for (index, cell) in cells.enumerated() {
      if index > 0 { line += "," }
      switch cell {
      case .text(let text), .json(let text): line += Self.field(text)
      default: line += cell.plain
      }
    }
    try file.write(line + "\n")
  }

  mutating func pause(_ file: inout OutputFile) throws(Failure) { try file.flush() }

  /// A field, in quotes where it needs them.
  static func field(_ text: String) -> String {
    guard text.utf8.contains(where: { $0 == 0x22 || $0 == 0x2c || $0 == 0x0a || $0 == 0x0d }) else { return text }
    var result = "\""
    for scalar in text.unicodeScalars {
      if scalar == "\"" { result += "\"" }
      result.unicodeScalars.append(scalar)
    }
    return result + "\""
  }
}
