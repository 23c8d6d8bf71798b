import MartletCore

extension MartletClient {
  /// Scores rows.
  ///
  /// A request larger than a frame, or of more rows than `maximumRowsPerCall`, goes out in parts; their answers are
  /// joined in order and come from one version of the model.
  public func score(
    _ request: ScoreRequest, timeout: Duration? = nil, retry: RetryPolicy? = nil
  ) async throws(ClientError) -> ScoreResponse {
    let parts: [ScoreRequest]
    do throws(MessageError) {
      try request.validate()
      parts = try request.parts(
        maximumBytes: CallFrame.maximumPayloadBytes, maximumRows: configuration.maximumRowsPerCall)
    } catch {
      throw ClientError(.invalidArgument, error.description)
    }
    guard parts.count > 1 else {
      let bytes = try await call(.score, payload: request.encoded(), timeout: timeout, retry: retry)
      return try checked(bytes, rows: request.rows)
    }
    return try await score(parts: parts, timeout: timeout, retry: retry)
  }

  /// What a model takes and gives.
  public func describe(
    _ model: String, version: String = "", timeout: Duration? = nil
  ) async throws(ClientError) -> DescribeResponse {
    try await call(.describe, DescribeRequest(model: model, version: version), timeout: timeout)
  }

  private func score(
    parts: [ScoreRequest], timeout: Duration?, retry: RetryPolicy?
  ) async throws(ClientError) -> ScoreResponse {
    let deadline = (timeout ?? configuration.timeout).map { ContinuousClock.now.advanced(by: $0) }
    var responses = try await scoreAll(parts, deadline: deadline, retry: retry)
    // A new version may have begun to serve in between: then all parts are asked of the latest one that answered.
    if let latest = responses.last?.version, responses.contains(where: { $0.version != latest }) {
      var pinned = parts
      for index in pinned.indices { pinned[index].version = latest }
      responses = try await scoreAll(pinned, deadline: deadline, retry: retry)
    }
    do throws(MessageError) {
      return try ScoreResponse.joining(responses)
    } catch {
      throw ClientError(.internalError, error.description)
    }
  }

  /// The answers to `parts` in their order, a bounded number of them in flight.
  private func scoreAll(
    _ parts: [ScoreRequest], deadline: ContinuousClock.Instant?, retry: RetryPolicy?
  ) async throws(ClientError) -> [ScoreResponse] {
    let result = await withTaskGroup(of: (Int, Result<ScoreResponse, ClientError>).self) { group in
      func begin(_ index: Int) {
        let part = parts[index]
        let left = deadline.map { max(.nanoseconds(1), ContinuousClock.now.duration(to: $0)) }
        group.addTask { [self] in
          do throws(ClientError) {
            let bytes = try await call(.score, payload: part.encoded(), timeout: left, retry: retry)
            return (index, .success(try checked(bytes, rows: part.rows)))
          } catch {
            return (index, .failure(error))
          }
        }
      }
      var responses = [ScoreResponse?](repeating: nil, count: parts.count)
      var begun = min(parts.count, configuration.maximumPartsInFlight)
      for index in 0..<begun { begin(index) }
      while let (index, result) = await group.next() {
        switch result {
        case .success(let response): responses[index] = response
        case .failure(let error):
          group.cancelAll()
          return Result<[ScoreResponse], ClientError>.failure(error)
        }
        if begun < parts.count {
          begin(begun)
          begun += 1
        }
      }
      return .success(responses.compactMap { $0 })
    }
    return try result.get()
  }

  private func checked(_ bytes: [UInt8], rows: Int) throws(ClientError) -> ScoreResponse {
    do throws(MessageError) {
      let response = try ScoreResponse(decoding: bytes)
      guard response.rows == rows else {
        throw MessageError("\(rows) rows were sent and \(response.rows) predictions came back")
      }
      return response
    } catch {
      throw ClientError(.internalError, "the answer of Score cannot be read: \(error)")
    }
  }
}
