/// Reads one JSON object into the cells of a row. Source: RFC 8259.
///
/// The keys are columns; a key that was not seen before is a new column. Numbers stay the text that they are, so that
/// nothing is lost before their column's type is known.
struct JSONRowParser: Sendable {
  static let maximumColumns = 65_536
  static let maximumDepth = 64

  struct Malformed: Error, Sendable {
    var column: String?
    var message: String
  }

  private(set) var columns: [String] = []
  private var index: [String: Int] = [:]

  init() {}

  /// Reads the object that `row.original` is.
  mutating func parse(_ row: inout InputRow) throws(Malformed) {
    var cursor = Cursor(bytes: row.original)
    row.original = []
    defer { row.original = cursor.bytes }
    for cell in row.cells.indices { row.cells[cell] = .absent }
    cursor.skipSpace()
    guard cursor.take(UInt8(ascii: "{")) else {
      throw Malformed(message: "\(cursor.shown) came, expected a JSON object, {\"column\": value, …}")
    }
    cursor.skipSpace()
    // The keys of most files come in the same order on every line.
    var guess = 0
    if !cursor.take(UInt8(ascii: "}")) {
      while true {
        let column = try key(&cursor, &row, guess)
        guess = column + 1
        cursor.skipSpace()
        guard cursor.take(UInt8(ascii: ":")) else {
          throw Malformed(column: columns[column], message: "\(cursor.shown) came, expected ':'")
        }
        cursor.skipSpace()
        while row.cells.count < columns.count { row.cells.append(.absent) }
        guard row.cells[column].kind == .absent else {
          throw Malformed(column: columns[column], message: "it came twice")
        }
        do throws(Malformed) {
          row.cells[column] = try cursor.value(into: &row.bytes)
        } catch {
          throw Malformed(column: columns[column], message: error.message)
        }
        cursor.skipSpace()
        if cursor.take(UInt8(ascii: "}")) { break }
        guard cursor.take(UInt8(ascii: ",")) else {
          throw Malformed(
            column: columns[column], message: "behind the value \(cursor.shown) came, expected ',' or '}'")
        }
        cursor.skipSpace()
      }
    }
    cursor.skipSpace()
    guard cursor.isAtEnd else {
      throw Malformed(message: "behind the object \(cursor.shown) came, expected the end of the line")
    }
    while row.cells.count < columns.count { row.cells.append(.absent) }
  }

  /// Reads a key and returns its column.
  private mutating func key(_ cursor: inout Cursor, _ row: inout InputRow, _ guess: Int) throws(Malformed) -> Int {
    guard cursor.peek == UInt8(ascii: "\"") else {
      throw Malformed(message: "\(cursor.shown) came, expected a column's name in quotes")
    }
    let start = row.bytes.count
    try cursor.string(into: &row.bytes)
    defer { row.bytes.removeSubrange(start...) }
    if guess < columns.count, row.bytes[start...].elementsEqual(columns[guess].utf8) { return guess }
    guard let name = String(validating: row.bytes[start...], as: UTF8.self) else {
      throw Malformed(message: "a column's name is not UTF-8")
    }
    if let known = index[name] { return known }
    guard columns.count < JSONRowParser.maximumColumns else {
      throw Malformed(message: "more than \(JSONRowParser.maximumColumns) columns")
    }
    index[name] = columns.count
    columns.append(name)
    return columns.count - 1
  }
}

/// A place in a text that is being read.
private struct Cursor {
  let bytes: [UInt8]
  var position = 0

  init(bytes: [UInt8]) { self.bytes = bytes }

  var peek: UInt8? { position < bytes.count ? bytes[position] : nil }
  var isAtEnd: Bool { position == bytes.count }

  /// What comes next, for a message.
  var shown: String {
    guard !isAtEnd else { return "the end" }
    let rest = bytes[position...].prefix(20)
    return "'" + String(decoding: rest, as: UTF8.self) + (bytes.count - position > 20 ? "…'" : "'")
  }

  mutating func skipSpace() {
    while let byte = peek, byte == 0x20 || byte == 0x09 || byte == 0x0a || byte == 0x0d { position += 1 }
  }

  mutating func take(_ byte: UInt8) -> Bool {
    guard peek == byte else { return false }
    position += 1
    return true
  }

  mutating func value(into text: inout [UInt8]) throws(JSONRowParser.Malformed) -> InputRow.Cell {
    let start = text.count
    switch peek {
    case UInt8(ascii: "\""):
      try string(into: &text)
      return InputRow.Cell(.string, start..<text.count)
    case UInt8(ascii: "{"), UInt8(ascii: "["):
      let from = position
      try skipNested(depth: 1)
      text.append(contentsOf: bytes[from..<position])
      return InputRow.Cell(.nested, start..<text.count)
    case .some(UInt8(ascii: "-")), .some(UInt8(ascii: "0")...UInt8(ascii: "9")):
      let from = position
      try skipNumber()
      text.append(contentsOf: bytes[from..<position])
      return InputRow.Cell(.number, start..<text.count)
    default:
      for (word, kind) in [("true", InputRow.Cell.Kind.boolean), ("false", .boolean), ("null", .null)]
      where bytes[position...].starts(with: word.utf8) {
        position += word.utf8.count
        text.append(contentsOf: word.utf8)
        return InputRow.Cell(kind, start..<text.count)
      }
      throw JSONRowParser.Malformed(message: "\(shown) came, expected a value")
    }
  }

  private mutating func skipNumber() throws(JSONRowParser.Malformed) {
    let from = position
    _ = take(UInt8(ascii: "-"))
    let hasInteger = take(UInt8(ascii: "0")) || skipDigits()
    let hasFraction = !take(UInt8(ascii: ".")) || skipDigits()
    var hasExponent = true
    if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
      if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
      hasExponent = skipDigits()
    }
    guard hasInteger, hasFraction, hasExponent else {
      position = from
      throw JSONRowParser.Malformed(message: "\(shown) came, expected a number")
    }
  }

  private mutating func skipDigits() -> Bool {
    let from = position
    while let byte = peek, (0x30...0x39).contains(byte) { position += 1 }
    return position > from
  }

  private mutating func skipNested(depth: Int) throws(JSONRowParser.Malformed) {
    guard depth <= JSONRowParser.maximumDepth else {
      throw JSONRowParser.Malformed(message: "nested deeper than \(JSONRowParser.maximumDepth)")
    }
    let isObject = peek == UInt8(ascii: "{")
    let end = isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")
    position += 1
    skipSpace()
    if take(end) { return }
    var scratch: [UInt8] = []
    while true {
      if isObject {
        try string(into: &scratch)
        skipSpace()
        guard take(UInt8(ascii: ":")) else { throw JSONRowParser.Malformed(message: "\(shown) came, expected ':'") }
        skipSpace()
      }
      if peek == UInt8(ascii: "{") || peek == UInt8(ascii: "[") {
        try skipNested(depth: depth + 1)
      } else {
        _ = try value(into: &scratch)
      }
      scratch.removeAll(keepingCapacity: true)
      skipSpace()
      if take(end) { return }
      guard take(UInt8(ascii: ",")) else {
        throw JSONRowParser.Malformed(message: "\(shown) came, expected ',' or the end of the nested value")
      }
      skipSpace()
    }
  }

  /// Reads a string in quotes and appends what it says.
  mutating func string(into text: inout [UInt8]) throws(JSONRowParser.Malformed) {
    guard take(UInt8(ascii: "\"")) else {
      throw JSONRowParser.Malformed(message: "\(shown) came, expected text in quotes")
    }
    while let byte = peek {
      position += 1
      switch byte {
      case UInt8(ascii: "\""): return
      case UInt8(ascii: "\\"): try escape(into: &text)
      case 0..<0x20: throw JSONRowParser.Malformed(message: "a control character inside text; expected \\u escapes")
      default: text.append(byte)
      }
    }
    throw JSONRowParser.Malformed(message: "text in quotes has no end")
  }

  private mutating func escape(into text: inout [UInt8]) throws(JSONRowParser.Malformed) {
    let byte = peek
    position += byte == nil ? 0 : 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte ?? 0)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0c)
    case UInt8(ascii: "n"): text.append(0x0a)
    case UInt8(ascii: "r"): text.append(0x0d)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "u"):
      var code = try hexadecimal()
      if 0xd800..<0xdc00 ~= code, take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) {
        let low = try hexadecimal()
        code = 0xdc00..<0xe000 ~= low ? 0x10000 + (code - 0xd800) << 10 + (low - 0xdc00) : 0xd800
      }
      guard let scalar = Unicode.Scalar(code) else {
        throw JSONRowParser.Malformed(message: "half of a \\u surrogate pair")
      }
      text.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
    default: throw JSONRowParser.Malformed(message: "an escape that JSON does not have")
    }
  }

  private mutating func hexadecimal() throws(JSONRowParser.Malformed) -> UInt32 {
    var code: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = peek, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw JSONRowParser.Malformed(message: "\\u without four hexadecimal digits")
      }
      code = code << 4 | UInt32(digit)
      position += 1
    }
    return code
  }
}
