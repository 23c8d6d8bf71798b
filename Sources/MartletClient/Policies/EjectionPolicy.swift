/// When an address that fails is passed over, and for how long.
public struct EjectionPolicy: Sendable, Equatable {
  /// Answers of UNAVAILABLE in a row after which an address is ejected; a failed connection ejects at once.
  public var failures = 3
  /// How long the first ejection lasts; each further one without a success between is twice as long.
  public var initialDuration: Duration = .milliseconds(500)
  public var maximumDuration: Duration = .seconds(30)

  public init() {}
}
