import MartletCore

/// Scores the rows of a file with a plan and compares with expected answers. Takes the memory of a few hundred rows,
/// whatever the length of the file; any thread.
struct ScoreVerifier {
  /// Rows, and expected answers in the same file or in one of their own with as many rows, in the same order.
  struct Source {
    var bytes: ByteSource
    /// What messages call it.
    var name: String
    /// Nil: told by the first bytes.
    var format: RowReader.Format?
  }

  private static let rowsAtOnce = 256

  let plan: any ScoringPlan
  let configuration: ModelConfiguration
  let tolerance: VerificationTolerance
  /// Whether columns that are neither features nor outputs are passed over.
  var ignoreExtra = false

  /// Without `expected` the rows' own columns `expected_…` are what is expected.
  ///
  /// Errors: what is wrong with the files, with row and column; what the model's operators refuse.
  func verify(_ rows: Source, expected: Source? = nil) throws(InputError) -> VerificationReport {
    var reader = try named(rows.name) { () throws(InputError) in try RowReader(rows.bytes, format: rows.format) }
    var answers = try expected.map { (source) throws(InputError) in
      try named(source.name) { () throws(InputError) in try RowReader(source.bytes, format: source.format) }
    }
    for format in [reader.format, answers?.format] where format == .jsonl {
      throw InputError("\(rows.name): expected answers are compared in CSV files, JSON lines came")
    }
    let signature = plan.signature
    let features = reader.columns
    let writer = try named(rows.name) { () throws(InputError) in
      try TileRowWriter(signature, configuration, columns: features)
    }
    let answerName = expected?.name ?? rows.name
    let answerColumns = answers?.columns ?? features
    let columns = try named(answerName) { () throws(InputError) in
      try ExpectedColumns(
        signature, columns: answerColumns, needsPrefix: expected == nil, ignoreExtra: ignoreExtra)
    }
    if !ignoreExtra, let extra = writer.extras.first(where: { !features[$0].hasPrefix(ExpectedColumns.prefix) }) {
      throw InputError("\(rows.name): column \(ConfigurationError.quoted(features[extra])) is no feature of the model")
    }

    let tile = Tile(plan: plan, capacity: Self.rowsAtOnce)
    let scratch = plan.makeScratch()
    var comparison = AnswerComparison(signature, columns, tolerance)
    var waiting: [InputRow] = []
    var row = InputRow()
    var answer = InputRow()
    while try next(&reader, &row, rows.name) {
      if answers != nil {
        guard try next(&answers!, &answer, answerName) else {
          throw InputError("\(answerName) has \(row.number - 1) rows, and \(rows.name) has more")
        }
      }
      do throws(RowProblem) {
        try writer.write(row, to: tile, at: waiting.count)
      } catch {
        throw InputError("\(rows.name): \(error)")
      }
      waiting.append(answers == nil ? row : answer)
      if waiting.count == Self.rowsAtOnce { try score(tile, scratch, &waiting, &comparison, answerName) }
    }
    try score(tile, scratch, &waiting, &comparison, answerName)
    if answers != nil, try next(&answers!, &answer, answerName) {
      throw InputError("\(rows.name) has \(comparison.rows) rows, and \(answerName) has more")
    }
    guard comparison.rows > 0 else { throw InputError("\(rows.name) has no rows") }
    return comparison.report
  }

  private func score(
    _ tile: Tile, _ scratch: PlanScratch, _ waiting: inout [InputRow], _ comparison: inout AnswerComparison,
    _ name: String
  ) throws(InputError) {
    guard !waiting.isEmpty else { return }
    tile.rows = waiting.count
    do throws(Status) {
      try plan.score(tile, rows: 0..<waiting.count, scratch: scratch)
    } catch {
      throw InputError("\(name): rows \(waiting[0].number) to \(waiting.last!.number): \(error.message)")
    }
    do throws(RowProblem) {
      for index in waiting.indices { try comparison.compare(waiting[index], with: tile, at: index) }
    } catch {
      throw InputError("\(name): \(error)")
    }
    waiting.removeAll(keepingCapacity: true)
    tile.reset()
  }

  private func next(_ reader: inout RowReader, _ row: inout InputRow, _ name: String) throws(InputError) -> Bool {
    switch try reader.next(&row) {
    case .row: return true
    case .problem(let problem): throw InputError("\(name): \(problem)")
    case .idle, .end: return false
    }
  }

  private func named<Value>(
    _ name: String, _ work: () throws(InputError) -> Value
  ) throws(InputError) -> Value {
    do throws(InputError) {
      return try work()
    } catch {
      throw InputError("\(name): \(error)")
    }
  }
}
