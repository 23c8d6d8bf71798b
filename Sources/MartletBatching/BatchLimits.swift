import MartletCore

/// What bounds the batches of one model. Limits count rows.
public struct BatchLimits: Sendable {
  /// The most rows that are scored at once; a call of more is scored in parts and answered as one.
  public var maximumRows: Int
  /// The most rows that may wait; a call that would exceed it is refused.
  public var maximumQueuedRows: Int
  /// How long a batch may wait for more rows, in nanoseconds; 0 waits for nothing.
  public var maximumDelayNanoseconds: UInt64
  /// A waiting batch of this many rows waits no longer.
  public var preferredRows: Int

  public init(
    maximumRows: Int = 4096, maximumQueuedRows: Int = 65_536, maximumDelayNanoseconds: UInt64 = 0,
    preferredRows: Int? = nil
  ) {
    self.maximumRows = max(1, maximumRows)
    self.maximumQueuedRows = maximumQueuedRows
    self.maximumDelayNanoseconds = maximumDelayNanoseconds
    self.preferredRows = preferredRows ?? maximumRows
  }
}
