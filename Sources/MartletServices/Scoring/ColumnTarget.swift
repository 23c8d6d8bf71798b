import MartletCore
import MartletWire

/// Where the values of one column lie in a tile: one element of every row.
struct ColumnTarget {
  private let start: UnsafeMutableRawPointer
  private let stride: Int
  private let type: ElementType
  /// Of a column of texts, which is element `offset` of `width`.
  private let texts: TextTarget?
  private let offset: Int
  private let width: Int

  init(_ tile: borrowing Tile, _ column: borrowing ModelSignature.Column, firstRow: Int) {
    stride = tile.stride(column.input)
    type = column.type
    offset = column.offset
    width = tile.inputs[column.input].width
    texts = column.type == .text ? TextTarget(tile, input: column.input, firstRow: firstRow) : nil
    start = tile.input(column.input) + firstRow * stride + column.offset * column.type.byteWidth
  }

  /// Of a column of numbers: of texts it refuses everything.
  ///
  /// - Parameter inputs: where the inputs of the tile begin.
  @inline(__always)
  init(_ inputs: UnsafePointer<UnsafeMutableRawPointer>, _ column: ScoreForm.Column, firstRow: Int) {
    stride = column.stride
    type = column.type
    texts = nil
    offset = 0
    width = 0
    start = inputs[column.input] + firstRow * column.stride + column.offset
  }

  /// Of a column of texts: of numbers it refuses everything.
  init(_ tile: Tile, texts column: ScoreForm.Column, firstRow: Int) {
    stride = 0
    type = .text
    texts = column.type == .text ? TextTarget(tile, input: column.input, firstRow: firstRow) : nil
    offset = column.offset / ElementType.text.byteWidth
    width = column.stride / ElementType.text.byteWidth
    start = tile.input(column.input)
  }

  @inline(__always)
  private func put<Value>(_ row: Int, _ value: Value?) -> Bool {
    guard let value else { return false }
    (start + row * stride).storeBytes(of: value, as: Value.self)
    return true
  }

  /// Stores `rows` floats as they came, where the column has floats; false where it has something else.
  @inline(__always)
  func copyFloats(_ source: UnsafeRawPointer, _ rows: Int) -> Bool {
    guard type == .float32 else { return false }
    for row in 0..<rows {
      let bits = source.loadUnaligned(fromByteOffset: row * 4, as: UInt32.self)
      (start + row * stride).storeBytes(of: UInt32(littleEndian: bits), as: UInt32.self)
    }
    return true
  }

  @inline(__always)
  func store(_ row: Int, _ value: Float) -> Bool {
    if type == .float32 { return put(row, value) }
    if type == .float64 { return put(row, Double(value)) }
    return store(row, Double(value))
  }

  @inline(__always)
  func store(_ row: Int, _ value: Double) -> Bool {
    if type == .float32 { return value.isNaN ? put(row, Float.nan) : put(row, Float(exactly: value)) }
    if type == .float64 { return put(row, value) }
    return storeWhole(row, value)
  }

  private func storeWhole(_ row: Int, _ value: Double) -> Bool {
    switch type {
    case .text, .float16: return false
    default:
      guard let whole = Int64(exactly: value) else { return false }
      return store(row, whole)
    }
  }

  func store(_ row: Int, _ value: Int64) -> Bool {
    switch type {
    case .float64: put(row, Double(exactly: value))
    case .float32: put(row, Float(exactly: value))
    case .int64: put(row, value)
    case .int32: put(row, Int32(exactly: value))
    case .int16: put(row, Int16(exactly: value))
    case .int8: put(row, Int8(exactly: value))
    case .uint64: put(row, UInt64(exactly: value))
    case .uint32: put(row, UInt32(exactly: value))
    case .uint16: put(row, UInt16(exactly: value))
    case .uint8: put(row, UInt8(exactly: value))
    case .bool: value == 0 || value == 1 ? put(row, UInt8(value)) : false
    case .float16, .text: false
    }
  }

  func store(_ row: Int, text: UnsafeRawBufferPointer) -> Bool {
    texts?.store(text, at: row * width + offset) ?? false
  }

  /// Reads the texts of rows from `row` on where they lie as the fields of a column, as far as there is nothing uncommon
  /// about them. Moves `position` behind them, and returns how many.
  func read(_ fields: UnsafeRawBufferPointer, from position: inout Int, row: Int, rows: Int) -> Int {
    texts?.read(
      fields, .fields, from: &position, count: rows - row, element: row * width + offset, step: width) ?? 0
  }

  func storeMissing(_ row: Int, _ text: TextRef) {
    switch type {
    case .float32: _ = put(row, Float.nan)
    case .float64: _ = put(row, Double.nan)
    case .text: texts?.store(text, at: row * width + offset)
    // Integers have no missing value; `allowsMissing` is false for them.
    default: _ = put(row, UInt8(0))
    }
  }
}
