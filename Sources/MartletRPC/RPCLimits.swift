/// Bounds of the call path; each is a configuration value.
public struct RPCLimits: Sendable {
  /// The longest data of a frame, in bytes.
  public var frameBytes: Int
  /// Calls of one connection that wait for their answers.
  public var callsPerConnection: Int
  /// Calls of one connection that are read in a round; more wait for the next.
  public var callsPerConnectionAndRound: Int
  /// Calls of a reactor that wait for their answers.
  public var calls: Int

  public init(
    frameBytes: Int = 4 << 20, callsPerConnection: Int = 1024, callsPerConnectionAndRound: Int = 64,
    calls: Int = 65_536
  ) {
    self.frameBytes = frameBytes
    self.callsPerConnection = callsPerConnection
    self.callsPerConnectionAndRound = callsPerConnectionAndRound
    self.calls = calls
  }
}
