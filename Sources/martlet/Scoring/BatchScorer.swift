import MartletClient
import MartletCore

/// Scores a batch, and finds the rows that are to blame when it is refused.
struct BatchScorer: Sendable {
  let transport: any ScoreTransport
  /// Whether the first bad row ends the run, rather than being rejected.
  let stopsAtFirst: Bool
  /// Most further calls to find the bad rows of a batch: a batch of rows that are all bad is not asked row by row.
  var maximumCalls = 256

  func score(_ batch: ScoreBatch) async -> ScoreOutcome {
    var outcome = ScoreOutcome()
    outcome.notes = batch.notes
    outcome.rejects = batch.rejects
    guard batch.request.rows > 0 else { return outcome }
    var calls = maximumCalls
    await score(0..<batch.request.rows, of: batch, &calls, &outcome)
    outcome.rejects.sort { $0.problem.row < $1.problem.row }
    return outcome
  }

  /// Scores `rows`, in halves where they are refused, until the bad ones stand alone.
  private func score(
    _ rows: Range<Int>, of batch: ScoreBatch, _ calls: inout Int, _ outcome: inout ScoreOutcome
  ) async {
    do throws(ClientError) {
      let isWhole = rows == 0..<batch.request.rows
      outcome.pieces.append((rows, try await transport.score(isWhole ? batch.request : batch.request.slice(rows))))
    } catch {
      let first = batch.notes[rows.lowerBound]
      guard error.code == .invalidArgument || error.code == .outOfRange else {
        outcome.failure = Failure(error)
        outcome.failure?.message += ", at row \(first.number) (line \(first.line))"
        return
      }
      if rows.count > 1, calls > 0 {
        calls -= 2
        let middle = rows.lowerBound + rows.count / 2
        await score(rows.lowerBound..<middle, of: batch, &calls, &outcome)
        if outcome.failure == nil { await score(middle..<rows.upperBound, of: batch, &calls, &outcome) }
        return
      }
      for row in rows {
        let note = batch.notes[row]
        let problem = RowProblem(row: note.number, line: note.line, message: error.message)
        if stopsAtFirst {
          outcome.failure = BatchScorer.stopped(problem)
          return
        }
        outcome.rejects.append(ScoreBatch.Reject(problem: problem, original: note.original))
      }
    }
  }

  /// How a run ends at a bad row.
  static func stopped(_ problem: RowProblem) -> Failure {
    Failure(
      .negative, problem.description,
      hint: "--on-error skip --rejects FILE scores the other rows and writes the bad ones to FILE")
  }
}
