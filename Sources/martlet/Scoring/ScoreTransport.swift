import MartletClient

/// The way to whoever scores.
protocol ScoreTransport: Sendable {
  /// How many batches are worth having under way at a time.
  var batchesInFlight: Int { get }
  func describe(_ request: DescribeRequest) async throws(ClientError) -> DescribeResponse
  func score(_ request: ScoreRequest) async throws(ClientError) -> ScoreResponse
  func close() async
}
