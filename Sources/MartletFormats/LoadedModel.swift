import MartletCore
import MartletEngine

/// A model that is ready to score, and what its file says about itself.
public struct LoadedModel: Sendable {
  /// The file's format, `onnx` for example.
  public let format: String
  public let plan: any ScoringPlan
  /// Version of the operator set for each domain, the default domain under the empty name.
  public let opsets: [String: Int]
  /// Name and version of the program that wrote the file; may be empty.
  public let producer: String
  public let metadata: [String: String]
  /// Whether trees decide everything, so that the answers are those of the reference to the bit.
  public let isTreesOnly: Bool
}
