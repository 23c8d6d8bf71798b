/// A method that the client calls.
public struct RPCMethod: Sendable, Hashable {
  /// Full name of the service, `martlet.v1.Scoring` for example.
  public var service: String
  public var name: String
  /// Whether calling it twice does what calling it once does, so that a call may be sent again when its fate is
  /// unknown.
  public var isIdempotent: Bool

  public init(service: String, name: String, isIdempotent: Bool) {
    self.service = service
    self.name = name
    self.isIdempotent = isIdempotent
  }

  public static let score = RPCMethod(service: scoring, name: "Score", isIdempotent: true)
  public static let describe = RPCMethod(service: scoring, name: "Describe", isIdempotent: true)
  public static let null = RPCMethod(service: scoring, name: "Null", isIdempotent: true)

  public static let serverReady = RPCMethod(service: inference, name: "ServerReady", isIdempotent: true)
  public static let modelReady = RPCMethod(service: inference, name: "ModelReady", isIdempotent: true)
  public static let serverMetadata = RPCMethod(service: inference, name: "ServerMetadata", isIdempotent: true)
  public static let modelMetadata = RPCMethod(service: inference, name: "ModelMetadata", isIdempotent: true)
  public static let modelInfer = RPCMethod(service: inference, name: "ModelInfer", isIdempotent: true)
  public static let repositoryIndex = RPCMethod(service: inference, name: "RepositoryIndex", isIdempotent: true)
  public static let load = RPCMethod(service: inference, name: "RepositoryModelLoad", isIdempotent: false)
  public static let unload = RPCMethod(service: inference, name: "RepositoryModelUnload", isIdempotent: false)

  public static let healthCheck = RPCMethod(service: "grpc.health.v1.Health", name: "Check", isIdempotent: true)

  private static let scoring = "martlet.v1.Scoring"
  private static let inference = "inference.GRPCInferenceService"
}
