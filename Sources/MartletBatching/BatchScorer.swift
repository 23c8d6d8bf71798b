import MartletCore

/// Who scores the batches that are too long for a reactor's round.
public protocol BatchScorer: AnyObject, Sendable {
  /// Batches that it scores at once.
  var threads: Int { get }
  /// Takes a closed batch. When it is scored, `finished` runs on the scorer's thread; it hands the batch back.
  func submit(_ batch: Batch, finished: @escaping @Sendable (Batch) -> Void)
}
