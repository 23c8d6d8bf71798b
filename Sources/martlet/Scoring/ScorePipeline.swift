import MartletClient
import MartletCore

/// Reads rows, scores them in batches of which several are under way at a time, and writes the results in order.
///
/// Memory is that of the batches under way, whatever the length of the input. When the input pauses, what has come so
/// far is scored and shown.
struct ScorePipeline: ~Copyable {
  struct Options: Sendable {
    var rowsPerBatch = 1024
    /// Input columns that the output repeats.
    var keep: [String] = []
    var showsPredictions = false
    var stopsAtFirst = true
  }

  struct Summary: Sendable, Equatable {
    var scored = 0
    var rejected = 0
  }

  /// How long a pause of the input is that ends a batch.
  private static let pauseMilliseconds: Int32 = 20

  private let scorer: BatchScorer
  private let options: Options
  private var reader: RowReader
  private var builder: RequestBuilder
  private var writer: any RowWriter
  private var output: OutputFile
  private var rejectFile: RejectFile?
  private var progress: ProgressLine
  private var summary = Summary()
  /// Where the kept columns stand among the reader's, of which the first `knownColumns` were looked at.
  private var keptPlaces: [Int?]
  private var knownColumns = 0
  /// Names of the columns, once they are known.
  private var columns: [String]?
  private var version = ""

  init(
    _ reader: consuming RowReader, _ builder: RequestBuilder, _ transport: any ScoreTransport, options: Options,
    writer: any RowWriter, output: consuming OutputFile, rejects: consuming RejectFile?, progress: ProgressLine
  ) {
    self.reader = reader
    self.builder = builder
    self.options = options
    keptPlaces = options.keep.map { _ in nil }
    self.writer = writer
    self.output = output
    self.progress = progress
    rejectFile = rejects
    scorer = BatchScorer(transport: transport, stopsAtFirst: options.stopsAtFirst)
  }

  /// Runs to the input's end, or to the first failure, and says how many rows were scored and rejected.
  mutating func run() async throws -> Summary {
    do {
      try await runToEnd()
    } catch {
      // What was scored before is shown all the same.
      progress.finish()
      try? writer.pause(&output)
      try? rejectFile?.flush()
      throw error
    }
    progress.finish()
    return summary
  }

  private mutating func runToEnd() async throws {
    var underWay: [Task<ScoreOutcome, Never>] = []
    defer { for task in underWay { task.cancel() } }
    var row = InputRow()
    var notes: [ScoreBatch.Note] = []
    var rejects: [ScoreBatch.Reject] = []
    var stop: Failure?

    while true {
      let mayWait = builder.rows == 0 && rejects.isEmpty && underWay.isEmpty
      let outcome = try reader.next(&row, waitMilliseconds: mayWait ? nil : Self.pauseMilliseconds)
      var isPause = false
      switch outcome {
      case .row:
        do throws(RowProblem) {
          try builder.append(row, columns: reader.columns)
          notes.append(note(row))
        } catch {
          stop = reject(error, row, &rejects)
        }
      case .problem(let problem): stop = reject(problem, row, &rejects)
      case .idle, .end: isPause = true
      }
      if isPause || stop != nil || builder.rows + rejects.count >= options.rowsPerBatch {
        if underWay.count >= scorer.transport.batchesInFlight { try await finish(underWay.removeFirst()) }
        if builder.rows + rejects.count > 0 {
          let batch = ScoreBatch(request: builder.take(), notes: notes, rejects: rejects)
          notes.removeAll(keepingCapacity: true)
          rejects.removeAll()
          let scorer = scorer
          underWay.append(Task { await scorer.score(batch) })
        }
      }
      guard isPause || stop != nil else { continue }
      while !underWay.isEmpty { try await finish(underWay.removeFirst()) }
      try writer.pause(&output)
      if let stop { throw stop }
      if outcome == .end { break }
    }
    try rejectFile?.flush()
  }

  /// Notes a row that cannot be scored; returns what ends the run, if that is to be its end.
  private func reject(_ problem: RowProblem, _ row: InputRow, _ rejects: inout [ScoreBatch.Reject]) -> Failure? {
    if options.stopsAtFirst { return BatchScorer.stopped(problem) }
    rejects.append(ScoreBatch.Reject(problem: problem, original: row.original))
    return nil
  }

  private mutating func note(_ row: InputRow) -> ScoreBatch.Note {
    if knownColumns < reader.columns.count {
      let columns = reader.columns
      knownColumns = columns.count
      keptPlaces = options.keep.map { columns.firstIndex(of: $0) }
    }
    var kept: [OutputCell] = []
    for place in keptPlaces {
      let cell = place.map { row.cells[$0] } ?? InputRow.Cell(.absent, 0..<0)
      switch cell.kind {
      case .absent, .null: kept.append(.missing)
      case .field, .string: kept.append(.text(row.text(cell)))
      case .number, .boolean, .nested: kept.append(.json(row.text(cell)))
      }
    }
    return ScoreBatch.Note(
      number: row.number, line: row.line, original: options.stopsAtFirst ? [] : row.original, kept: kept)
  }

  /// Waits for a batch and writes what became of it.
  private mutating func finish(_ task: Task<ScoreOutcome, Never>) async throws {
    let outcome = await task.value
    for piece in outcome.pieces { try write(piece.response, outcome.notes, piece.rows) }
    for reject in outcome.rejects { try rejectFile?.write(reject) }
    summary.rejected += outcome.rejects.count
    progress.update(rows: summary.scored, rejected: summary.rejected)
    if let failure = outcome.failure { throw failure }
  }

  private mutating func write(_ response: ScoreResponse, _ notes: [ScoreBatch.Note], _ rows: Range<Int>) throws {
    let names = options.keep + ResultColumns.names(response, withPredictions: options.showsPredictions)
    if let columns {
      guard columns == names, version == response.version else {
        throw Failure(
          .refused, "the model changed from version \(version) to \(response.version) while rows were scored",
          hint: "--version N scores all rows with one version")
      }
    } else {
      columns = names
      version = response.version
      try writer.begin(names, &output)
    }
    var cells: [OutputCell] = []
    for row in rows {
      cells.removeAll(keepingCapacity: true)
      cells += notes[row].kept
      ResultColumns.append(
        row - rows.lowerBound, of: response, withPredictions: options.showsPredictions, to: &cells)
      try writer.row(cells, &output)
    }
    summary.scored += rows.count
  }
}
