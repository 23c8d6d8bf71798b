/// Reads CSV records out of bytes that come in pieces of any size. Source: RFC 4180.
///
/// Fields may be quoted; a quoted field may hold commas, line ends and doubled quotes. A line ends with LF, CRLF or CR.
/// Empty lines and a byte order mark at the beginning are passed over. A malformed record is a problem of its row; the
/// next begins on the next line.
struct CSVRowParser: Sendable {
  enum Event: Sendable, Equatable {
    case needMore
    case row
    /// The row is malformed; it was passed over.
    case problem(String)
  }

  /// Most bytes of a record: one quote too many must not make the rest of a file one field.
  static let maximumRecordBytes = 4 << 20
  static let maximumFields = 65_536

  private enum State: Sendable {
    case recordStart
    case fieldStart
    case unquoted
    case quoted
    /// Behind a quote inside a quoted field: its end, or the first of two.
    case quote
    /// Passing over the rest of a record that is too long.
    case overlong
  }

  private var state = State.recordStart
  private var fieldStart = 0
  private var problem: String?
  private var byteOrderMark = 0
  /// The line that is being read, from 1.
  private(set) var line = 1
  /// Whether the last byte was a CR, whose LF belongs to it.
  private var wasCarriageReturn = false

  /// Takes bytes until a record is complete. `row` holds the record's cells at `row`, and its original at `problem`.
  mutating func next(_ source: inout ByteSource, into row: inout InputRow) -> Event {
    while source.position < source.block.count {
      let byte = source.block[source.position]
      source.position += 1
      if byteOrderMark < 3, skipByteOrderMark(byte) { continue }
      if wasCarriageReturn {
        wasCarriageReturn = false
        if byte == 0x0a, state == .recordStart { continue }
      }
      if let event = take(byte, &row) { return event }
    }
    return .needMore
  }

  /// The input has ended: the last record need not have a line's end. Nil when there is none.
  mutating func finish(_ row: inout InputRow) -> Event? {
    switch state {
    case .recordStart: return nil
    case .quoted:
      note("a quoted field has no end")
      endField(&row)
    case .fieldStart, .unquoted, .quote: endField(&row)
    case .overlong: break
    }
    return endRecord(&row)
  }

  private mutating func skipByteOrderMark(_ byte: UInt8) -> Bool {
    let mark: [UInt8] = [0xef, 0xbb, 0xbf]
    guard byte == mark[byteOrderMark] else {
      byteOrderMark = 3
      return false
    }
    byteOrderMark += 1
    return true
  }

  private mutating func note(_ text: String) {
    if problem == nil { problem = text }
  }

  private mutating func take(_ byte: UInt8, _ row: inout InputRow) -> Event? {
    let isLineEnd = byte == 0x0a || byte == 0x0d
    if state == .recordStart {
      row.begin(number: row.number, line: line)
      fieldStart = 0
      problem = nil
      if isLineEnd {
        // An empty line.
        line += 1
        wasCarriageReturn = byte == 0x0d
        return nil
      }
      state = .fieldStart
    }
    if isLineEnd, state != .quoted {
      if state != .overlong { endField(&row) }
      line += 1
      wasCarriageReturn = byte == 0x0d
      return endRecord(&row)
    }
    guard row.original.count < CSVRowParser.maximumRecordBytes else {
      note("a record of more than \(CSVRowParser.maximumRecordBytes) bytes; a quote may be missing")
      state = .overlong
      return nil
    }
    row.original.append(byte)
    switch state {
    case .recordStart, .overlong: break
    case .fieldStart:
      switch byte {
      case UInt8(ascii: "\""): state = .quoted
      case UInt8(ascii: ","): endField(&row)
      default:
        row.bytes.append(byte)
        state = .unquoted
      }
    case .unquoted:
      if byte == UInt8(ascii: ",") {
        endField(&row)
      } else {
        if byte == UInt8(ascii: "\"") { note("a quote inside a field that is not quoted") }
        row.bytes.append(byte)
      }
    case .quoted:
      if byte == UInt8(ascii: "\"") {
        state = .quote
      } else {
        if byte == 0x0a { line += 1 }
        row.bytes.append(byte)
      }
    case .quote:
      switch byte {
      case UInt8(ascii: "\""):
        row.bytes.append(byte)
        state = .quoted
      case UInt8(ascii: ","): endField(&row)
      default:
        note("text behind the closing quote of a field")
        row.bytes.append(byte)
        state = .unquoted
      }
    }
    return nil
  }

  private mutating func endField(_ row: inout InputRow) {
    if row.cells.count < CSVRowParser.maximumFields {
      row.cells.append(InputRow.Cell(.field, fieldStart..<row.bytes.count))
    } else {
      note("a record of more than \(CSVRowParser.maximumFields) fields")
    }
    fieldStart = row.bytes.count
    state = .fieldStart
  }

  private mutating func endRecord(_ row: inout InputRow) -> Event {
    state = .recordStart
    return problem.map { .problem($0) } ?? .row
  }
}
