import MartletClient
import MartletCore

/// Rows that are scored in one call, with what is kept of them for the output.
struct ScoreBatch: Sendable {
  /// What is remembered of a row while it is scored.
  struct Note: Sendable {
    var number: Int
    var line: Int
    /// The row as it came; empty when nobody will ask.
    var original: [UInt8]
    /// The cells that are carried through.
    var kept: [OutputCell]
  }

  /// A row that is not scored.
  struct Reject: Sendable, Equatable {
    var problem: RowProblem
    var original: [UInt8]
  }

  var request: ScoreRequest
  /// One for each row of the request.
  var notes: [Note]
  /// Rows around them that could not be read.
  var rejects: [Reject]
}

/// What became of a batch.
struct ScoreOutcome: Sendable {
  /// One for each row of the request.
  var notes: [ScoreBatch.Note] = []
  /// Answers to consecutive rows of the request, in order; rows between them were rejected.
  var pieces: [(rows: Range<Int>, response: ScoreResponse)] = []
  var rejects: [ScoreBatch.Reject] = []
  /// What ends the whole run, behind the pieces.
  var failure: Failure?
}
