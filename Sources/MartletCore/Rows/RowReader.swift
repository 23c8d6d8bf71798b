/// Reads rows one after the other out of CSV or JSON lines, in the memory of one row.
public struct RowReader: Sendable {
  public enum Format: String, Sendable, CaseIterable {
    /// The first record names the columns (RFC 4180).
    case csv
    /// One JSON object a line.
    case jsonl
  }

  public enum Outcome: Sendable, Equatable {
    case row
    /// The row cannot be read; its original is in the row.
    case problem(RowProblem)
    /// No further row came within the time that the caller was ready to wait.
    case idle
    case end
  }

  public let format: Format
  private var source: ByteSource
  private var csv = CSVRowParser()
  private var json = JSONRowParser()
  private var header: [String] = []
  private var isFinished = false
  private var rows = 0
  private var jsonLine = 0

  /// The names of the cells. JSON lines may add columns with every row.
  public var columns: [String] { format == .csv ? header : json.columns }

  /// Begins to read. Without a format, an input whose first visible byte is `{` is JSON lines.
  ///
  /// - Throws: when the input cannot be read, or a CSV's header is missing or names a column twice.
  public init(_ source: ByteSource, format: Format? = nil) throws(InputError) {
    self.source = source
    if let format {
      self.format = format
    } else {
      self.format = try RowReader.sniff(&self.source)
    }
    guard self.format == .csv else { return }
    var row = InputRow()
    switch try record(&row, waitMilliseconds: nil) {
    case .end: throw InputError("the input is empty; expected a line with the columns' names")
    case .idle: break
    case .problem(let problem): throw InputError("the line with the columns' names: \(problem.message)")
    case .row:
      for cell in row.cells {
        guard let name = String(validating: row.bytes[cell.range], as: UTF8.self) else {
          throw InputError("a column's name is not UTF-8")
        }
        header.append(name)
      }
    }
    rows = 0
    var seen: Set<String> = []
    for (position, name) in header.enumerated() {
      guard !name.isEmpty else {
        throw InputError("column \(position + 1) has no name; the first line names the columns")
      }
      guard seen.insert(name).inserted else { throw InputError("two columns are called \"\(name)\"") }
    }
  }

  /// Reads the next row into `row`; waits for it, unless `waitMilliseconds` says for how long.
  ///
  /// After `idle` the row may be half read: the next call takes the same `row`.
  public mutating func next(
    _ row: inout InputRow, waitMilliseconds: Int32? = nil
  ) throws(InputError) -> Outcome {
    guard format == .csv else { return try jsonRow(&row, waitMilliseconds: waitMilliseconds) }
    let outcome = try record(&row, waitMilliseconds: waitMilliseconds)
    guard outcome == .row, row.cells.count != header.count else { return outcome }
    return .problem(
      RowProblem(
        row: row.number, line: row.line,
        message: "\(row.cells.count) fields came, expected \(header.count) as in the first line"))
  }

  private mutating func record(_ row: inout InputRow, waitMilliseconds: Int32?) throws(InputError) -> Outcome {
    while !isFinished {
      let event: CSVRowParser.Event?
      switch try source.fill(waitMilliseconds: waitMilliseconds) {
      case .idle: return .idle
      case .bytes:
        event = csv.next(&source, into: &row)
        if event == .needMore { continue }
      case .end:
        isFinished = true
        event = csv.finish(&row)
      }
      switch event {
      case nil, .needMore: break
      case .row:
        rows += 1
        row.number = rows
        return .row
      case .problem(let text):
        rows += 1
        row.number = rows
        return .problem(RowProblem(row: rows, line: row.line, message: text))
      }
    }
    return .end
  }

  // MARK: JSON lines

  /// Whether the line that is being read has begun, in `row.original`.
  private var isInsideLine = false
  private var isOverlong = false

  private mutating func jsonRow(_ row: inout InputRow, waitMilliseconds: Int32?) throws(InputError) -> Outcome {
    while true {
      if !isInsideLine {
        jsonLine += 1
        row.begin(number: rows + 1, line: jsonLine, keepingCells: true)
        isInsideLine = true
        isOverlong = false
      }
      switch try source.fill(waitMilliseconds: waitMilliseconds) {
      case .idle: return .idle
      case .end:
        guard !isFinished, !row.original.isEmpty else { return .end }
        isFinished = true
      case .bytes:
        let rest = source.block[source.position...]
        let end = rest.firstIndex(of: 0x0a)
        let part = rest[..<(end ?? rest.endIndex)]
        source.position = end.map { $0 + 1 } ?? rest.endIndex
        if row.original.count + part.count > CSVRowParser.maximumRecordBytes {
          isOverlong = true
        } else {
          row.original.append(contentsOf: part)
        }
        if end == nil { continue }
      }
      isInsideLine = false
      if jsonLine == 1, row.original.starts(with: [0xef, 0xbb, 0xbf]) { row.original.removeFirst(3) }
      guard isOverlong || row.original.contains(where: { $0 > 0x20 }) else { continue }
      rows += 1
      if row.original.last == 0x0d { row.original.removeLast() }
      guard !isOverlong else {
        return problem(row, nil, "a line of more than \(CSVRowParser.maximumRecordBytes) bytes")
      }
      do throws(JSONRowParser.Malformed) {
        try json.parse(&row)
        return .row
      } catch {
        return problem(row, error.column, error.message)
      }
    }
  }

  private func problem(_ row: InputRow, _ column: String?, _ message: String) -> Outcome {
    .problem(RowProblem(row: row.number, line: row.line, column: column, message: message))
  }

  /// Tells JSON lines from CSV by the first visible byte.
  private static func sniff(_ source: inout ByteSource) throws(InputError) -> Format {
    guard try source.fill() == .bytes else { return .csv }
    var visible = source.block[source.position...]
    if visible.starts(with: [0xef, 0xbb, 0xbf]) { visible = visible.dropFirst(3) }
    guard let first = visible.first(where: { $0 > 0x20 }) else { return .csv }
    guard first != UInt8(ascii: "[") else {
      throw InputError("a JSON array came; expected one object a line (jq -c '.[]' makes that of an array)")
    }
    return first == UInt8(ascii: "{") ? .jsonl : .csv
  }
}
