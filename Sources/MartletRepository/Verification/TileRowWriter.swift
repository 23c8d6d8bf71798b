import MartletCore

/// Puts rows of a file into a tile, column by column, in the types of the model.
struct TileRowWriter {
  private struct Target {
    var column: ModelSignature.Column
    /// Which of the file's columns it is; nil when the file lacks it, and it may be missing.
    var place: Int?
    var allowsMissing: Bool
  }

  private let targets: [Target]
  private let missingText: [UInt8]
  /// Columns of the file that are no feature.
  let extras: [Int]

  /// Errors: the file lacks a column that the model needs.
  init(_ signature: ModelSignature, _ configuration: ModelConfiguration, columns: [String]) throws(InputError) {
    missingText = Array(configuration.missing.text.utf8)
    var places: [String: Int] = [:]
    for (place, name) in columns.enumerated() { places[name] = place }
    targets = signature.columns.map {
      Target(column: $0, place: places[$0.name], allowsMissing: configuration.allowsMissing($0))
    }
    let features = Set(signature.columns.map(\.name))
    extras = columns.indices.filter { !features.contains(columns[$0]) }
    let absent = targets.filter { $0.place == nil && !$0.allowsMissing }.map { "\"\($0.column.name)\"" }
    guard absent.isEmpty else {
      let rest = absent.count > 10 ? " and \(absent.count - 10) more" : ""
      throw InputError("columns that the model needs are absent: \(absent.prefix(10).joined(separator: ", "))\(rest)")
    }
    guard targets.contains(where: { $0.place != nil }) else { throw InputError("no column is a feature of the model") }
  }

  /// Writes row `index` of the tile. Errors: a cell that its column does not take.
  func write(_ row: InputRow, to tile: Tile, at index: Int) throws(RowProblem) {
    for target in targets {
      let block = tile.inputs[target.column.input]
      let place = Place(
        start: tile.input(target.column.input) + index * block.stride
          + target.column.offset * target.column.type.byteWidth,
        element: target.column.offset,
        texts: target.column.type == .text ? TextTarget(tile, input: target.column.input, firstRow: index) : nil)
      let cell = target.place.map { row.cells[$0] } ?? InputRow.Cell(.absent, 0..<0)
      let text = row.bytes.span.extracting(cell.range)
      let isMissing = cell.kind == .absent || cell.kind == .null || (cell.kind == .field && text.isEmpty)
      if isMissing {
        guard target.allowsMissing else {
          throw RowProblem(
            row: row.number, line: row.line, column: target.column.name,
            message: "there is no value, and the model needs one")
        }
        storeMissing(place, target.column.type, tile)
      } else if !store(text, place, target.column.type) {
        let shown = ConfigurationError.quoted(row.text(cell))
        throw RowProblem(
          row: row.number, line: row.line, column: target.column.name,
          message: "\(shown) came, expected \(target.column.type.datatype)")
      }
    }
  }

  /// Where a cell goes; texts are elements of the row.
  private struct Place {
    var start: UnsafeMutableRawPointer
    var element: Int
    var texts: TextTarget?
  }

  private func store(_ text: Span<UInt8>, _ place: Place, _ type: ElementType) -> Bool {
    func put<Value>(_ value: Value?) -> Bool {
      guard let value else { return false }
      place.start.storeBytes(of: value, as: Value.self)
      return true
    }
    func whole<Value: FixedWidthInteger>(_ type: Value.Type) -> Bool {
      put(NumberText.integer(text).flatMap { Value(exactly: $0) })
    }
    switch type {
    case .float64: return put(NumberText.double(text))
    case .float32: return put(NumberText.double(text).map { Float($0) })
    case .int64: return whole(Int64.self)
    case .int32: return whole(Int32.self)
    case .int16: return whole(Int16.self)
    case .int8: return whole(Int8.self)
    case .uint64: return whole(UInt64.self)
    case .uint32: return whole(UInt32.self)
    case .uint16: return whole(UInt16.self)
    case .uint8: return whole(UInt8.self)
    case .bool: return put(NumberText.boolean(text).map { UInt8($0 ? 1 : 0) })
    case .float16: return false
    case .text:
      return text.withUnsafeBufferPointer { bytes in
        place.texts?.store(UnsafeRawBufferPointer(bytes), at: place.element) ?? false
      }
    }
  }

  private func storeMissing(_ place: Place, _ type: ElementType, _ tile: Tile) {
    switch type {
    case .float64: place.start.storeBytes(of: .nan, as: Double.self)
    case .text:
      let text = missingText.withUnsafeBytes { $0.count == 0 ? TextRef.empty : tile.texts.store($0) }
      place.texts?.store(text, at: place.element)
    // `allowsMissing` is false for the other types.
    default: place.start.storeBytes(of: .nan, as: Float.self)
    }
  }
}
