/// The bounds and policies of a client.
public struct ClientConfiguration: Sendable, Equatable {
  /// How long a call may take that does not say it, all attempts together; nil: no limit.
  public var timeout: Duration? = .seconds(10)
  /// Longest time for opening a connection.
  public var connectTimeout: Duration = .seconds(5)
  /// Most connections to one address; the second is opened when the first has a call in flight.
  public var connectionsPerAddress = 2
  /// Most calls in flight on one connection; further ones wait in the client.
  public var maximumCallsInFlightPerConnection = 64
  /// Most calls that wait; a further one fails with `resourceExhausted`.
  public var maximumWaitingCalls = 10_000
  /// Most rows of one call on the wire; a larger request is split and its answers are joined.
  public var maximumRowsPerCall = 8_192
  /// Most calls that one split request has in flight at a time.
  public var maximumPartsInFlight = 8
  public var retry = RetryPolicy()
  public var ejection = EjectionPolicy()

  public init() {}
}
