import MartletCore
import MartletRepository
import MartletWire

/// `Score` requests that were plain, by their bytes.
typealias ScoreMessages = RepeatedMessages<ScoreMeaning>

/// What a plain request says beside its values.
struct ScoreMeaning {
  var served: UnsafePointer<ServedLane>
  var rows: Int
  /// Of its priority, 0 the highest.
  var level: UInt8
}

/// The fast path of `Score`: the message is read where it lies, and the values go from there straight into the rows of
/// a tile.
///
/// It takes only what is right in every respect and of the usual shape: each of the model's columns once, each with
/// values in one packed field (or texts) and without a presence mask. For everything else it steps aside before
/// anything has happened, and the general reader, which unpacks with protobuf-c, accepts or refuses. So there is one
/// place that says what is wrong. Reused over calls; confined to its reactor.
final class PlainScore {
  private struct Column {
    var name = UnsafeRawBufferPointer(start: nil, count: 0)
    /// The packed values; of texts the whole column.
    var values = UnsafeRawBufferPointer(start: nil, count: 0)
    /// Field of `martlet.v1.Column` that has the values.
    var field: UInt32 = 0
    /// The model's column.
    var column: Int32 = 0
  }

  private static let maximumColumns = 4096

  private(set) var modelName = UnsafeRawBufferPointer(start: nil, count: 0)
  private(set) var modelVersion = UnsafeRawBufferPointer(start: nil, count: 0)
  private(set) var rows = 0
  /// As it came; 0 when it did not.
  private(set) var priority: UInt64 = 0
  private var columnCount = 0
  private var columns: UnsafeMutablePointer<Column>
  private var capacity = 64
  private var places: UnsafeMutablePointer<ScoreMessages.Values>
  private var isPresent: [Bool] = []

  init() {
    columns = .allocate(capacity: capacity)
    columns.initialize(repeating: Column(), count: capacity)
    places = .allocate(capacity: capacity)
  }

  deinit {
    columns.deallocate()
    places.deallocate()
  }

  /// Reads the message; false when it is not plain. What was read points into `payload`.
  func read(_ payload: UnsafeRawBufferPointer) -> Bool {
    var reader = ProtoReader(payload)
    var seen: UInt32 = 0
    columnCount = 0
    rows = 0
    priority = 0
    modelVersion = UnsafeRawBufferPointer(start: nil, count: 0)
    while let (number, wire) = reader.tag() {
      switch (number, wire) {
      case (1, .lengthDelimited), (2, .lengthDelimited):
        guard seen & 1 << number == 0, let value = reader.delimited() else { return false }
        seen |= 1 << number
        if number == 1 { modelName = value } else { modelVersion = value }
      case (3, .varint):
        guard seen & 1 << number == 0, let value = reader.varint(), value <= UInt64(Int32.max) else { return false }
        seen |= 1 << number
        rows = Int(value)
      case (6, .varint):
        guard seen & 1 << number == 0, let value = reader.varint(), value <= UInt64(UInt32.max) else { return false }
        seen |= 1 << number
        priority = value
      case (4, .lengthDelimited):
        guard let value = reader.delimited() else { return false }
        if columnCount == capacity, !grow() { return false }
        guard Self.read(value, columns + columnCount) else { return false }
        columnCount += 1
      default: return false
      }
    }
    return !reader.malformed && seen & 2 != 0 && rows > 0
  }

  /// Room for twice as many columns; once for the widest model of a server.
  private func grow() -> Bool {
    guard capacity < Self.maximumColumns else { return false }
    let larger = UnsafeMutablePointer<Column>.allocate(capacity: 2 * capacity)
    larger.moveInitialize(from: columns, count: capacity)
    (larger + capacity).initialize(repeating: Column(), count: capacity)
    columns.deallocate()
    columns = larger
    capacity *= 2
    places.deallocate()
    places = .allocate(capacity: capacity)
    return true
  }

  @inline(__always)
  private static func read(_ bytes: UnsafeRawBufferPointer, _ column: UnsafeMutablePointer<Column>) -> Bool {
    var reader = ProtoReader(bytes)
    guard let (first, wire) = reader.tag(), first == 1, wire == .lengthDelimited, let name = reader.delimited() else {
      return false
    }
    column.pointee.name = name
    let start = reader.position
    guard let (field, form) = reader.tag(), form == .lengthDelimited, (2...6).contains(field),
      let values = reader.delimited()
    else { return false }
    column.pointee.field = field
    guard field == 5 else {
      column.pointee.values = values
      return reader.position == bytes.count
    }
    // Texts are elements, each with the field's number in front.
    while reader.position < bytes.count {
      guard let (number, wire) = reader.tag(), number == 5, wire == .lengthDelimited, reader.delimited() != nil else {
        return false
      }
    }
    column.pointee.values = UnsafeRawBufferPointer(rebasing: bytes[start...])
    return true
  }

  /// Finds each of the model's columns once, with `rows` values; false when anything is not as the model wants it.
  func match(_ form: ScoreForm, _ model: Model, rowsPerCall: Int) -> Bool {
    let count = form.columns.count
    guard columnCount == count, rows <= rowsPerCall else { return false }
    isPresent.removeAll(keepingCapacity: true)
    for _ in 0..<count { isPresent.append(false) }
    for index in 0..<count {
      let column = columns + index
      guard let found = model.columns.find(column.pointee.name, guess: index), !isPresent[found] else { return false }
      isPresent[found] = true
      column.pointee.column = Int32(found)
      let bytes = column.pointee.values.count
      switch column.pointee.field {
      case 2: guard bytes == rows * 8 else { return false }
      case 3: guard bytes == rows * 4 else { return false }
      // An integer or a flag has at least one byte; how many there are shows when they are read.
      default: guard bytes >= rows else { return false }
      }
    }
    return true
  }

  /// The places of the values in `payload`, which was read and matched; nil when a message with other values could be read
  /// in another way: only floating-point numbers have a fixed length.
  func values(in payload: UnsafeRawBufferPointer) -> UnsafeBufferPointer<ScoreMessages.Values>? {
    guard let start = payload.baseAddress else { return nil }
    for index in 0..<columnCount {
      let column = columns[index]
      guard column.field == 2 || column.field == 3, let first = column.values.baseAddress else { return nil }
      (places + index).initialize(
        to: ScoreMessages.Values(
          offset: first - start, count: column.values.count, target: Int(column.column),
          stride: column.field == 2 ? 8 : 4))
    }
    return UnsafeBufferPointer(start: places, count: columnCount)
  }

  /// Fills rows `firstRow..<firstRow + rows` of a tile with the values of a message that was read before.
  ///
  /// - Returns: as the other `fill`.
  static func fill(
    _ known: UnsafePointer<ScoreMessages.Known>, of payload: UnsafeRawBufferPointer, _ form: ScoreForm,
    _ inputs: UnsafePointer<UnsafeMutableRawPointer>, firstRow: Int
  ) -> Bool {
    let source = payload.baseAddress.unsafelyUnwrapped
    let columns = form.columns.baseAddress.unsafelyUnwrapped
    let rows = known.pointee.meaning.rows
    for index in 0..<known.pointee.valueCount {
      let values = known.pointee.values[index]
      let target = ColumnTarget(inputs, columns[values.target], firstRow: firstRow)
      if values.stride == 4, target.copyFloats(source + values.offset, rows) { continue }
      guard store(source + values.offset, isDouble: values.stride == 8, rows, target) else { return false }
    }
    return true
  }

  /// Stores `rows` floating-point numbers; false when one is not a value that the column holds exactly.
  @inline(__always)
  private static func store(_ source: UnsafeRawPointer, isDouble: Bool, _ rows: Int, _ target: ColumnTarget) -> Bool {
    for row in 0..<rows {
      if isDouble {
        let bits = source.loadUnaligned(fromByteOffset: row * 8, as: UInt64.self)
        guard target.store(row, Double(bitPattern: UInt64(littleEndian: bits))) else { return false }
      } else {
        let bits = source.loadUnaligned(fromByteOffset: row * 4, as: UInt32.self)
        guard target.store(row, Float(bitPattern: UInt32(littleEndian: bits))) else { return false }
      }
    }
    return true
  }

  /// Fills rows `firstRow..<firstRow + rows` of the tile; `match` came before.
  ///
  /// - Returns: false when a value is not one that its column holds exactly; the general reader says which.
  func fill(_ form: ScoreForm, _ tile: Tile, firstRow: Int) -> Bool {
    let inputs = tile.inputStarts
    for index in 0..<columnCount {
      let column = columns[index]
      let target = ColumnTarget(inputs, form.columns[Int(column.column)], firstRow: firstRow)
      switch column.field {
      case 2, 3:
        guard let source = column.values.baseAddress, Self.store(source, isDouble: column.field == 2, rows, target)
        else { return false }
      case 5:
        let target = ColumnTarget(tile, texts: form.columns[Int(column.column)], firstRow: firstRow)
        var reader = ProtoReader(column.values)
        var row = 0
        while true {
          var position = reader.position
          row += target.read(column.values, from: &position, row: row, rows: rows)
          reader.move(to: position)
          guard row < rows else { break }
          guard reader.tag() != nil, let text = reader.delimited(), target.store(row, text: text) else { return false }
          row += 1
        }
        guard reader.position == column.values.count else { return false }
      default:
        var reader = ProtoReader(column.values)
        for row in 0..<rows {
          guard let value = reader.varint() else { return false }
          let integer = column.field == 6 ? (value != 0 ? 1 : 0) : Int64(bitPattern: value)
          guard target.store(row, integer) else { return false }
        }
        guard reader.position == column.values.count else { return false }
      }
    }
    return true
  }
}
