import MartletCore

/// Gathers how scored rows differ from expected ones.
struct AnswerComparison {
  private let columns: [ExpectedColumns.Item]
  private let types: [ElementType]
  private let tolerance: VerificationTolerance
  /// Where each column's output stands in `outputs`.
  private let outputOf: [Int]
  private var outputs: [VerificationReport.Output]
  /// The label's output, and the places of all of its classes' expected scores.
  private let scores: (label: Int, places: [Int])?
  private(set) var rows = 0

  init(_ signature: ModelSignature, _ expected: ExpectedColumns, _ tolerance: VerificationTolerance) {
    columns = expected.items
    types = columns.map { signature.outputs[$0.output].type }
    self.tolerance = tolerance
    var found: [Int: Int] = [:]
    var outputs: [VerificationReport.Output] = []
    outputOf = columns.map { column in
      if let known = found[column.output] { return known }
      found[column.output] = outputs.count
      outputs.append(VerificationReport.Output(name: Self.name(column.output, signature)))
      return outputs.count - 1
    }
    self.outputs = outputs
    if case .classification(let label, .some(let probability)) = AnswerForm(signature),
      let places = expected.places(of: probability, width: signature.outputs[probability].width), places.count > 1
    {
      scores = (label, places)
    } else {
      scores = nil
    }
  }

  private static func name(_ output: Int, _ signature: ModelSignature) -> String {
    switch AnswerForm(signature) {
    case .classification(let label, _) where label == output: "label"
    case .classification(_, .some(let probability)) where probability == output: "probability"
    case .regression: "value"
    default: signature.outputs[output].name
    }
  }

  var report: VerificationReport { VerificationReport(rows: rows, tolerance: tolerance, outputs: outputs) }

  /// Errors: a cell that cannot be an answer of its output.
  mutating func compare(_ row: InputRow, with tile: Tile, at index: Int) throws(RowProblem) {
    rows += 1
    for (position, column) in columns.enumerated() {
      let block = tile.outputs[column.output]
      let got = tile.output(column.output) + index * block.stride + column.element * block.type.byteWidth
      let cell = row.cells[column.place]
      switch types[position] {
      case .float32: try compare(got.load(as: Float.self), position, row, cell)
      case .float64: try compare(got.load(as: Double.self), position, row, cell)
      case .float16: throw problem(row, column, "the output is FP16, which cannot be compared")
      default: try compareWhole(got, position, row, cell)
      }
    }
  }

  private func problem(_ row: InputRow, _ column: ExpectedColumns.Item, _ message: String) -> RowProblem {
    RowProblem(row: row.number, line: row.line, column: column.name, message: message)
  }

  /// The expected number; an empty cell is NaN, as data frames write it.
  private func number(_ cell: InputRow.Cell, _ row: InputRow, _ column: ExpectedColumns.Item) throws(RowProblem)
    -> Double
  {
    if cell.range.isEmpty { return .nan }
    guard let number = NumberText.double(row.bytes.span.extracting(cell.range)) else {
      throw problem(row, column, "\(ConfigurationError.quoted(row.text(cell))) came, expected a number")
    }
    return number
  }

  private mutating func compare<Value: BinaryFloatingPoint & LosslessStringConvertible>(
    _ got: Value, _ position: Int, _ row: InputRow, _ cell: InputRow.Cell
  ) throws(RowProblem) {
    let column = columns[position]
    let wanted = try number(cell, row, column)
    let place = outputOf[position]
    outputs[place].values += 1
    // What the library computed in double is compared with the bits that it has in the output's type.
    let rounded = Value(wanted)
    let isSame = got.isNaN ? rounded.isNaN : got == rounded && got.sign == rounded.sign
    if isSame { outputs[place].equal += 1 }
    let a = Double(got)
    let absolute = a == wanted || (a.isNaN && wanted.isNaN) ? 0 : abs(a - wanted)
    let error = absolute.isNaN ? .infinity : absolute
    func difference(_ error: Double) -> VerificationReport.Difference {
      VerificationReport.Difference(
        row: row.number, column: column.name, got: "\(got)", expected: row.text(cell), error: error)
    }
    if error > outputs[place].worstAbsolute?.error ?? 0 { outputs[place].worstAbsolute = difference(error) }
    let relative = error / abs(wanted)
    if wanted != 0, wanted.isFinite, relative > outputs[place].worstRelative?.error ?? 0 {
      outputs[place].worstRelative = difference(relative)
    }
    let isWithin =
      switch tolerance {
      case .exact: isSame
      case .within(let number): isSame || error <= number * max(1, abs(wanted)) && wanted.isFinite
      }
    if !isWithin { note(difference(error), beyondIn: place) }
  }

  private mutating func note(_ difference: VerificationReport.Difference, beyondIn place: Int) {
    outputs[place].beyond += 1
    if outputs[place].firstBeyond == nil { outputs[place].firstBeyond = difference }
  }

  private mutating func compareWhole(
    _ got: UnsafeMutableRawPointer, _ position: Int, _ row: InputRow, _ cell: InputRow.Cell
  ) throws(RowProblem) {
    let column = columns[position]
    let place = outputOf[position]
    outputs[place].values += 1
    let text = row.text(cell)
    let came: String
    let isSame: Bool
    if types[position] == .text {
      came = got.load(as: TextRef.self).string
      isSame = came == text
    } else {
      let bytes = row.bytes.span.extracting(cell.range)
      let wanted =
        types[position] == .bool ? NumberText.boolean(bytes).map { $0 ? 1 : 0 } : NumberText.integer(bytes)
      guard let wanted else {
        throw problem(row, column, "\(ConfigurationError.quoted(text)) came, expected a whole number")
      }
      let value = Self.integer(got, types[position])
      came = value.map(String.init) ?? "a number beyond 64 bits with a sign"
      isSame = value == wanted
    }
    guard !isSame else {
      outputs[place].equal += 1
      return
    }
    outputs[place].different += 1
    if column.output == scores?.label, try isUndecided(row) {
      outputs[place].undecided += 1
      return
    }
    note(
      VerificationReport.Difference(row: row.number, column: column.name, got: came, expected: text, error: .infinity),
      beyondIn: place)
  }

  /// Whether the two best expected scores are closer than the tolerance: then either label is right.
  private func isUndecided(_ row: InputRow) throws(RowProblem) -> Bool {
    guard case .within(let number) = tolerance, let scores else { return false }
    var best = -Double.infinity
    var second = -Double.infinity
    for place in scores.places {
      guard let value = NumberText.double(row.bytes.span.extracting(row.cells[place].range)) else { return false }
      if value > best {
        second = best
        best = value
      } else if value > second {
        second = value
      }
    }
    return best - second <= number * max(1, abs(best))
  }

  private static func integer(_ start: UnsafeMutableRawPointer, _ type: ElementType) -> Int64? {
    switch type {
    case .int64: start.load(as: Int64.self)
    case .int32: Int64(start.load(as: Int32.self))
    case .int16: Int64(start.load(as: Int16.self))
    case .int8: Int64(start.load(as: Int8.self))
    case .uint64: Int64(exactly: start.load(as: UInt64.self))
    case .uint32: Int64(start.load(as: UInt32.self))
    case .uint16: Int64(start.load(as: UInt16.self))
    default: Int64(start.load(as: UInt8.self))
    }
  }
}
