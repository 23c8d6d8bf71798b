import MartletCore

/// One version of a model, loaded: immutable, shared by every reactor.
public final class Model: Sendable {
  public let name: String
  public let version: Int
  /// The version as callers write it.
  public let versionText: String
  public let plan: any ScoringPlan
  public let configuration: ModelConfiguration
  /// The file's format, "onnx" for example.
  public let format: String
  /// Hexadecimal SHA-256 of the model file.
  public let digest: String
  public let fileBytes: Int
  public let loadSeconds: Double
  /// Seconds since 1970.
  public let loadedAt: Double
  /// Finds a column by the name that came over the wire.
  public let columns: NameIndex
  /// Finds an input by its name.
  public let inputs: NameIndex
  /// Finds an output by its name.
  public let outputs: NameIndex

  public var signature: ModelSignature { plan.signature }

  /// Whether a row may lack this column's value: the model has a rule for it, or its owner says so.
  public func allowsMissing(_ column: ModelSignature.Column) -> Bool { configuration.allowsMissing(column) }

  public init(
    name: String, version: Int, plan: any ScoringPlan, configuration: ModelConfiguration, format: String,
    digest: String, fileBytes: Int, loadSeconds: Double, loadedAt: Double
  ) {
    self.name = name
    self.version = version
    versionText = String(version)
    self.plan = plan
    self.configuration = configuration
    self.format = format
    self.digest = digest
    self.fileBytes = fileBytes
    self.loadSeconds = loadSeconds
    self.loadedAt = loadedAt
    columns = NameIndex(plan.signature.columns.map(\.name))
    inputs = NameIndex(plan.signature.inputs.map(\.name))
    outputs = NameIndex(plan.signature.outputs.map(\.name))
  }
}
