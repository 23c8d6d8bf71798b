import MartletCore

// The Open Inference Protocol and the health service.
extension MartletClient {
  /// Runs a model on tensors, as they are.
  public func infer(
    _ request: ModelInferRequest, timeout: Duration? = nil
  ) async throws(ClientError) -> ModelInferResponse {
    try await call(.modelInfer, request, timeout: timeout)
  }

  /// Whether the server takes calls.
  public func isServerReady(timeout: Duration? = nil) async throws(ClientError) -> Bool {
    let response: ReadyResponse = try await call(.serverReady, EmptyRequest(), timeout: timeout)
    return response.isReady
  }

  /// Whether a model takes calls.
  public func isModelReady(
    _ model: String, version: String = "", timeout: Duration? = nil
  ) async throws(ClientError) -> Bool {
    let request = ModelRequest(name: model, version: version)
    let response: ReadyResponse = try await call(.modelReady, request, timeout: timeout)
    return response.isReady
  }

  /// Who the server is.
  public func serverMetadata(timeout: Duration? = nil) async throws(ClientError) -> ServerMetadataResponse {
    try await call(.serverMetadata, EmptyRequest(), timeout: timeout)
  }

  /// A model's tensors.
  public func modelMetadata(
    _ model: String, version: String = "", timeout: Duration? = nil
  ) async throws(ClientError) -> ModelMetadataResponse {
    try await call(.modelMetadata, ModelRequest(name: model, version: version), timeout: timeout)
  }

  /// The models that the server knows, ready or not.
  public func models(
    onlyReady: Bool = false, timeout: Duration? = nil
  ) async throws(ClientError) -> [RepositoryIndexResponse.Model] {
    let request = RepositoryIndexRequest(onlyReady: onlyReady)
    let response: RepositoryIndexResponse = try await call(.repositoryIndex, request, timeout: timeout)
    return response.models
  }

  /// Loads a model, or loads it again. Not tried a second time when its fate is unknown.
  public func load(_ model: String, timeout: Duration? = nil) async throws(ClientError) {
    let _: EmptyResponse = try await call(.load, RepositoryModelRequest(model: model), timeout: timeout)
  }

  /// Unloads a model. Not tried a second time when its fate is unknown.
  public func unload(_ model: String, timeout: Duration? = nil) async throws(ClientError) {
    let _: EmptyResponse = try await call(.unload, RepositoryModelRequest(model: model), timeout: timeout)
  }

  /// What the server says about its health, or about one model's.
  public func health(service: String = "", timeout: Duration? = nil) async throws(ClientError) -> ServingStatus {
    try await call(.healthCheck, HealthCheckRequest(service: service), timeout: timeout)
  }
}
