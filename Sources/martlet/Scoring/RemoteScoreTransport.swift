import MartletClient

/// Scores on a server.
struct RemoteScoreTransport: ScoreTransport {
  let client: MartletClient

  init(_ client: MartletClient) { self.client = client }

  /// Enough to keep a connection and the server busy while this side reads and writes.
  var batchesInFlight: Int { 8 }

  func describe(_ request: DescribeRequest) async throws(ClientError) -> DescribeResponse {
    try await client.describe(request.model, version: request.version)
  }

  func score(_ request: ScoreRequest) async throws(ClientError) -> ScoreResponse {
    // A file takes as long as it takes: a busy or restarting server is waited for, within each call's timeout.
    var patient = client.configuration.retry
    patient.maximumAttempts = 20
    patient.retriedCodes.insert(.resourceExhausted)
    return try await client.score(request, retry: patient)
  }

  func close() async { await client.close() }
}
