import MartletCore

public struct ModelConfiguration: Sendable {
  public struct Batching: Sendable {
    public var maxRows: Int?
    public var preferredRows: Int?
    public var maxQueueDelay: Duration = .zero
  }
  public struct Decision: Sendable {
    public var `class`: String
    public var threshold: Double
    public init(class: String, threshold: Double) {
      self.class = `class`
      self.threshold = threshold
    }
  }
  public struct Missing: Sendable {
    public var text = ""
    public func allows(_ c: String) -> Bool { false }
  }
  public var batching = Batching()
  public var decision: Decision?
  public var missing = Missing()
  public var description: String?
  public var owner: String?
  public var featureNames: [String]?
  public init() {}
  public static func load(path: String) throws -> ModelConfiguration { .init() }
  public func check(against: ModelSignature) throws {}
}
