import CProtobufC
import CProtos
import MartletCore
import MartletRepository
import MartletWire

/// Puts the columns of a `ScoreRequest` into the rows of a tile.
///
/// Numbers are converted where nothing is lost; anything else is refused with the column, the row, what came and
/// what was expected. Reused over calls, so that it allocates nothing. Confined to its reactor.
struct ColumnReader {
  /// For each column of the request the model's column, or -1 for one that is left out.
  private var matched: [Int32] = []
  /// For each column of the model whether the request has it.
  private var isPresent: [Bool] = []

  init() {}

  /// Finds the model's columns in the request. Before memory is taken, and so that what is taken is in proportion to
  /// what came: every column has `rows` values or a presence mask of `rows` bits.
  ///
  /// Errors: INVALID_ARGUMENT for columns that are unknown, repeated, absent, or not of `rows` values.
  mutating func match(
    _ request: UnsafePointer<Martlet__V1__ScoreRequest>, _ model: Model, rows: Int
  ) throws(Status) {
    let columns = model.signature.columns
    var matches = 0
    matched.removeAll(keepingCapacity: true)
    isPresent.removeAll(keepingCapacity: true)
    for _ in 0..<columns.count { isPresent.append(false) }
    for index in 0..<request.pointee.n_columns {
      let column = request.pointee.columns[index]!
      let name = UnsafeRawBufferPointer(text: column.pointee.name)
      guard let found = model.columns.find(name, guess: index) else {
        if request.pointee.ignore_extra_columns != 0 {
          matched.append(-1)
          continue
        }
        throw Status(
          .invalidArgument,
          "columns: \(name.quoted) is not a column of model \"\(model.name)\"; set ignore_extra_columns to pass over it"
        )
      }
      guard !isPresent[found] else { throw Status(.invalidArgument, "columns: \(name.quoted) came twice") }
      isPresent[found] = true
      matched.append(Int32(found))
      matches += 1
      try Self.checkCount(column, columns[found].name, rows)
    }
    if request.pointee.n_columns < columns.count || isPresent.contains(false) { try checkAbsent(columns, model) }
    guard matches > 0 else {
      throw Status(.invalidArgument, "columns: none of model \"\(model.name)\" came; one at least is expected")
    }
  }

  /// How many values a column has, and in how many fields.
  private static func count(_ column: UnsafePointer<Martlet__V1__Column>) -> (values: Int, fields: Int) {
    let doubles = column.pointee.n_doubles
    let floats = column.pointee.n_floats
    let integers = column.pointee.n_integers
    let texts = column.pointee.n_texts
    let booleans = column.pointee.n_booleans
    let fields =
      (doubles > 0 ? 1 : 0) + (floats > 0 ? 1 : 0) + (integers > 0 ? 1 : 0) + (texts > 0 ? 1 : 0)
      + (booleans > 0 ? 1 : 0)
    return (doubles + floats + integers + texts + booleans, fields)
  }

  private static func checkCount(
    _ column: UnsafePointer<Martlet__V1__Column>, _ name: String, _ rows: Int
  ) throws(Status) {
    let (count, fields) = count(column)
    guard fields <= 1 else {
      throw Status(.invalidArgument, "columns: \"\(name)\" has values in \(fields) fields; one is expected")
    }
    let mask = column.pointee.present.len
    guard count == rows || (count == 0 && mask > 0) else {
      throw Status(.invalidArgument, "columns: \"\(name)\" has \(count) values; rows is \(rows)")
    }
    guard mask == 0 || mask == (rows + 7) / 8 else {
      throw Status(
        .invalidArgument,
        "columns: \"\(name)\" has a presence mask of \(mask) bytes; \((rows + 7) / 8) are expected for \(rows) rows")
    }
  }

  private func checkAbsent(_ columns: [ModelSignature.Column], _ model: Model) throws(Status) {
    let absent = columns.indices.filter { !isPresent[$0] && !model.allowsMissing(columns[$0]) }
    guard !absent.isEmpty else { return }
    let names = absent.prefix(20).map { columns[$0].name }.joined(separator: ", ")
    let rest = absent.count > 20 ? " and \(absent.count - 20) more" : ""
    throw Status(.invalidArgument, "columns: absent: \(names)\(rest); model \"\(model.name)\" needs them")
  }

  /// Fills rows `firstRow..<firstRow + rows` of the tile; `match` came before.
  func fill(
    _ request: UnsafePointer<Martlet__V1__ScoreRequest>, _ model: Model, _ tile: Tile, firstRow: Int, rows: Int
  ) throws(Status) {
    let columns = model.signature.columns
    for index in 0..<request.pointee.n_columns where matched[index] >= 0 {
      let column = columns[Int(matched[index])]
      let target = ColumnTarget(tile, column, firstRow: firstRow)
      try fill(request.pointee.columns[index]!, column, target, rows, tile, model)
    }
    for (index, column) in columns.enumerated() where !isPresent[index] {
      let target = ColumnTarget(tile, column, firstRow: firstRow)
      let missing = model.missingText(tile)
      for row in 0..<rows { target.storeMissing(row, missing) }
    }
  }

  private func fill(
    _ source: UnsafePointer<Martlet__V1__Column>, _ column: ModelSignature.Column, _ target: ColumnTarget, _ rows: Int,
    _ tile: Tile, _ model: Model
  ) throws(Status) {
    let present = Presence(source.pointee.present, rows)
    if !present.isFull, !model.allowsMissing(column) {
      let row = (0..<rows).first { !present[$0] } ?? 0
      throw Status(
        .invalidArgument, "columns: \"\(column.name)\" has no value in row \(row); the model allows none to be missing")
    }
    let (count, _) = Self.count(source)
    if count == 0 {
      // `match` let no column pass that has neither values nor a mask.
      guard present.isEmpty else {
        throw Status(
          .invalidArgument, "columns: \"\(column.name)\" has no values, and a presence mask that says it has")
      }
      let missing = model.missingText(tile)
      for row in 0..<rows { target.storeMissing(row, missing) }
      return
    }
    func each(_ store: (Int) -> Bool, _ shown: (Int) -> String) throws(Status) {
      if present.isFull {
        for row in 0..<rows where !store(row) { throw refusal(column, row, shown(row)) }
        return
      }
      let missing = model.missingText(tile)
      for row in 0..<rows {
        guard present[row] else {
          target.storeMissing(row, missing)
          continue
        }
        guard store(row) else { throw refusal(column, row, shown(row)) }
      }
    }
    if source.pointee.n_floats > 0 {
      let values = source.pointee.floats!
      try each({ target.store($0, values[$0]) }, { "float \(values[$0])" })
    } else if source.pointee.n_doubles > 0 {
      let values = source.pointee.doubles!
      try each({ target.store($0, values[$0]) }, { "double \(values[$0])" })
    } else if source.pointee.n_integers > 0 {
      let values = source.pointee.integers!
      try each({ target.store($0, values[$0]) }, { "integer \(values[$0])" })
    } else if source.pointee.n_booleans > 0 {
      let values = source.pointee.booleans!
      try each({ target.store($0, Int64(values[$0] != 0 ? 1 : 0)) }, { values[$0] != 0 ? "true" : "false" })
    } else if source.pointee.n_texts > 0 {
      let values = source.pointee.texts!
      try each(
        { target.store($0, text: UnsafeRawBufferPointer(values[$0])) },
        { "text \(UnsafeRawBufferPointer(values[$0]).quoted)" })
    }
  }

  private func refusal(_ column: ModelSignature.Column, _ row: Int, _ came: String) -> Status {
    Status(
      .invalidArgument,
      "columns: \"\(column.name)\" has \(came) in row \(row); \(column.type.datatype) is expected and would not hold it exactly"
    )
  }
}

/// Which rows of a column have a value.
private struct Presence {
  private let mask: UnsafeRawBufferPointer
  let isFull: Bool
  /// No row has one.
  let isEmpty: Bool

  /// - Parameter present: empty, or a bit for each row.
  init(_ present: ProtobufCBinaryData, _ rows: Int) {
    mask = UnsafeRawBufferPointer(present)
    guard mask.count > 0 else {
      isFull = true
      isEmpty = false
      return
    }
    var count = 0
    for row in 0..<rows where mask[row >> 3] >> UInt8(row & 7) & 1 != 0 { count += 1 }
    isFull = count == rows
    isEmpty = count == 0
  }

  subscript(row: Int) -> Bool { mask.count == 0 || mask[row >> 3] >> UInt8(row & 7) & 1 != 0 }
}

extension Model {
  /// What stands for a missing text.
  fileprivate func missingText(_ tile: Tile) -> TextRef {
    var text = configuration.missing.text
    if text.isEmpty { return .empty }
    return text.withUTF8 { tile.texts.store(UnsafeRawBufferPointer($0)) }
  }
}
