import MartletCore
import MartletEngine

public struct LoadedModel {
  public var format: String
  public var plan: any ScoringPlan
}
public enum ModelLoader {
  public static func load(bytes: UnsafeRawBufferPointer, featureNames: [String]?) throws(ModelError) -> LoadedModel {
    throw ModelError("shim")
  }
}
