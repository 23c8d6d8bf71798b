import MartletCore
import MartletEngine

/// Turns the bytes of a model file into a model that scores. The content decides the format, not a file's name.
public enum ModelLoader {
  static let formats: [any ModelFormat.Type] = [
    ONNXFormat.self,
    LightGBMFormat.self,
    XGBoostFormat.self,
  ]

  /// Reads, checks and plans a model.
  ///
  /// `featureNames` name the elements of the model's wide inputs, in order (or all columns); nil takes the names of
  /// the file's metadata, or else `f0`, `f1`, …. `planning` says how long tree ensembles are measured; the environment's
  /// `MARTLET_PLAN` names the one kind that they shall have. `missingValue` is a number that callers send for a missing
  /// one, beside NaN; `furtherOutputs` names outputs that are made only for those who ask for them.
  ///
  /// Errors: one message that says what is wrong, where, and what was expected. Takes milliseconds to seconds, and
  /// memory of about four times the file; any thread. `bytes` are not kept.
  public static func load(
    bytes: UnsafeRawBufferPointer, featureNames: [String]? = nil, missingValue: Double? = nil,
    furtherOutputs: [String] = [], planning: PlanningOptions = PlanningOptions()
  ) throws(ModelError) -> LoadedModel {
    guard let format = formats.first(where: { $0.recognizes(bytes) }) else {
      let known = formats.map { $0.name }.joined(separator: ", ")
      let start = bytes.prefix(8).map { String($0, radix: 16) }.joined(separator: " ")
      throw ModelError(
        bytes.isEmpty ? "the file is empty" : "the file begins with \(start), which is none of the formats: \(known)")
    }
    var graph = try format.read(bytes)
    if let missingValue { try graph.takeAsMissing(missingValue) }
    try graph.addOutputs(furtherOutputs)
    let plan = try GraphPlanner.plan(graph, featureNames: featureNames, options: planning.withEnvironment())
    return LoadedModel(
      format: format.name, plan: plan, opsets: graph.opsets, producer: graph.producer, metadata: graph.metadata,
      isTreesOnly: graph.isTreesOnly)
  }
}
