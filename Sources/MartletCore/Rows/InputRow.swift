/// One row as it stands in a file: cells that point into the row's own bytes.
///
/// Readers fill the same row again and again, so that a file of any length takes the memory of its longest row.
public struct InputRow: Sendable {
  public struct Cell: Sendable, Equatable {
    public enum Kind: Sendable, Equatable {
      /// The row has no such cell.
      case absent
      /// A CSV field: text that may mean anything.
      case field
      /// A JSON string.
      case string
      case number
      case boolean
      case null
      /// A JSON array or object.
      case nested
    }

    public var kind: Kind
    /// Where the cell's text lies in `bytes`: unquoted and unescaped.
    public var range: Range<Int>

    public init(_ kind: Kind, _ range: Range<Int>) {
      self.kind = kind
      self.range = range
    }

    package static let absent = Cell(.absent, 0..<0)
  }

  /// Counts from 1, without the header and empty lines.
  public internal(set) var number = 0
  /// The line on which the row begins, from 1.
  public internal(set) var line = 0
  /// The row as it came, without its line's end.
  public internal(set) var original: [UInt8] = []
  /// By the reader's columns.
  public internal(set) var cells: [Cell] = []
  package var bytes: [UInt8] = []

  public init() {}

  public func text(_ cell: Cell) -> String { String(decoding: bytes[cell.range], as: UTF8.self) }

  /// Empties the row; the cells' places stay where a reader fills them in by column.
  mutating func begin(number: Int, line: Int, keepingCells: Bool = false) {
    self.number = number
    self.line = line
    original.removeAll(keepingCapacity: true)
    if !keepingCells { cells.removeAll(keepingCapacity: true) }
    bytes.removeAll(keepingCapacity: true)
  }
}

/// Why a row cannot be used.
public struct RowProblem: Error, Sendable, Equatable, CustomStringConvertible {
  /// Counts from 1, without the header and empty lines.
  public var row: Int
  public var line: Int
  public var column: String?
  /// What came and what was expected.
  public var message: String

  public init(row: Int, line: Int, column: String? = nil, message: String) {
    self.row = row
    self.line = line
    self.column = column
    self.message = message
  }

  public var description: String {
    "row \(row) (line \(line))" + (column.map { ", column \"\($0)\"" } ?? "") + ": \(message)"
  }
}

/// Why a file as a whole cannot be used.
public struct InputError: Error, Sendable, Equatable, CustomStringConvertible {
  public var description: String

  public init(_ description: String) { self.description = description }
}
