import Glibc
import Testing

@testable import MartletCore

/// A row or problem as a test compares it.
enum ReadRow: Equatable {
  case row([String?])
  case problem(RowProblem)
}

func read(_ reader: inout RowReader) throws -> [ReadRow] {
  var rows: [ReadRow] = []
  var row = InputRow()
  while true {
    switch try reader.next(&row) {
    case .row: rows.append(.row(row.cells.map { $0.kind == .absent || $0.kind == .null ? nil : row.text($0) }))
    case .problem(let problem): rows.append(.problem(problem))
    case .idle: Issue.record("bytes in memory do not pause")
    case .end: return rows
    }
  }
}

func read(_ text: String, _ format: RowReader.Format? = nil) throws -> (columns: [String], rows: [ReadRow]) {
  var reader = try RowReader(ByteSource(Array(text.utf8)), format: format)
  let rows = try read(&reader)
  return (reader.columns, rows)
}

@Suite struct RowReaderCSVTests {
  @Test("fields, quotes, doubled quotes, commas and line ends inside quotes are read as RFC 4180 says")
  func quoting() throws {
    let text = "a,b,c\n1,\"x, y\",\"say \"\"hi\"\"\"\n\"two\nlines\",,\"\"\n"
    let (columns, rows) = try read(text)
    #expect(columns == ["a", "b", "c"])
    #expect(rows == [.row(["1", "x, y", "say \"hi\""]), .row(["two\nlines", "", ""])])
  }

  @Test(
    "lines may end with LF, CRLF or CR, the last one with nothing, and empty ones are passed over",
    arguments: [
      "a,b\n1,2\n\n3,4\n", "a,b\r\n1,2\r\n\r\n3,4", "a,b\r1,2\r\r3,4\r", "\n\na,b\r\n1,2\n3,4\n\n\n",
    ])
  func lineEnds(text: String) throws {
    let (columns, rows) = try read(text)
    #expect(columns == ["a", "b"])
    #expect(rows == [.row(["1", "2"]), .row(["3", "4"])])
  }

  @Test("a byte order mark is no part of the first column's name")
  func byteOrderMark() throws {
    #expect(try read("\u{feff}a,b\n1,2\n").columns == ["a", "b"])
    #expect(try read("\u{feff}\"a\",b\n1,2\n").columns == ["a", "b"])
  }

  @Test("a row of another length is a problem of its own, with its number and line")
  func ragged() throws {
    let (_, rows) = try read("a,b\n1,2\n\"x\ny\"\n3,4,5\n6,7\n")
    #expect(
      rows == [
        .row(["1", "2"]),
        .problem(RowProblem(row: 2, line: 3, message: "1 fields came, expected 2 as in the first line")),
        .problem(RowProblem(row: 3, line: 5, message: "3 fields came, expected 2 as in the first line")),
        .row(["6", "7"]),
      ])
  }

  @Test("misplaced quotes are a problem of their row, and the next row is read")
  func misplacedQuotes() throws {
    let (_, rows) = try read("a,b\nx\"y,1\n\"x\"y,2\n3,4\n\"open,5\n")
    #expect(
      rows == [
        .problem(RowProblem(row: 1, line: 2, message: "a quote inside a field that is not quoted")),
        .problem(RowProblem(row: 2, line: 3, message: "text behind the closing quote of a field")),
        .row(["3", "4"]),
        .problem(RowProblem(row: 4, line: 5, message: "a quoted field has no end")),
      ])
  }

  @Test("a record without an end is cut, and reading goes on with the next line")
  func overlong() throws {
    let text = "a\n\"" + String(repeating: "x", count: CSVRowParser.maximumRecordBytes + 10) + "\nok\n"
    let (_, rows) = try read(text)
    #expect(rows.count == 2)
    #expect(rows.last == .row(["ok"]))
    guard case .problem(let problem) = rows.first else {
      Issue.record("an overlong record was read")
      return
    }
    #expect(problem.message.contains("a quote may be missing"))
  }

  @Test("bytes that come one by one are read as if they came together")
  func pieces() throws {
    let text = "a,b,c\r\n1,\"x, \"\"y\"\"\",3\r\n\"q\nr\",,\n4,5\n7,8,9"
    let whole = try read(text)
    for size in [1, 2, 3, 7] {
      var parser = CSVRowParser()
      var row = InputRow()
      var got: [[String]] = []
      var bytes = Array(text.utf8)[...]
      func note() { got.append(row.cells.map { row.text($0) }) }
      while !bytes.isEmpty {
        var source = ByteSource(Array(bytes.prefix(size)))
        bytes = bytes.dropFirst(size)
        while parser.next(&source, into: &row) == .row { note() }
      }
      if parser.finish(&row) == .row { note() }
      let expected: [[String]] = [
        ["a", "b", "c"], ["1", "x, \"y\"", "3"], ["q\nr", "", ""], ["4", "5"], ["7", "8", "9"],
      ]
      #expect(got == expected)
    }
    #expect(whole.rows.count == 4)
  }

  @Test("the original of a row is what came, quotes and all")
  func original() throws {
    var reader = try RowReader(ByteSource(Array("a,b\r\n\"x, \"\"y\"\"\",2\r\n".utf8)))
    var row = InputRow()
    #expect(try reader.next(&row) == .row)
    #expect(String(decoding: row.original, as: UTF8.self) == "\"x, \"\"y\"\"\",2")
    #expect(row.number == 1)
    #expect(row.line == 2)
  }

  @Test(
    "a header that is missing, empty or ambiguous is refused", arguments: ["", "\n\n", "a,,b\n", "a,b,a\n", "\"a\n"])
  func header(text: String) {
    #expect(throws: InputError.self) { try read(text, .csv) }
  }

  @Test("a file is read to its end, and a pipe that pauses says so")
  func descriptors() throws {
    var pipe: [Int32] = [0, 0]
    #expect(Glibc.pipe(&pipe) == 0)
    defer { close(pipe[0]) }
    func send(_ text: String) { _ = Array(text.utf8).withUnsafeBytes { write(pipe[1], $0.baseAddress, $0.count) } }
    send("a,b\n1,2\n3,")
    var reader = try RowReader(ByteSource(descriptor: pipe[0]))
    var row = InputRow()
    #expect(try reader.next(&row, waitMilliseconds: 1) == .row)
    #expect(try reader.next(&row, waitMilliseconds: 1) == .idle)
    send("4\n")
    #expect(try reader.next(&row, waitMilliseconds: 1) == .row)
    #expect(row.cells.map { row.text($0) } == ["3", "4"])
    close(pipe[1])
    #expect(try reader.next(&row) == .end)
    #expect(try reader.next(&row) == .end)
  }
}
