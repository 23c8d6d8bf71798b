import MartletCore

/// What the owner of a model says about it in `model.yaml`, beside its versions.
///
///     owner: Credit team
///     description: Will an applicant pay back?
///     feature_names: [age, amount]            # where the file does not name them
///     positive_class: bad
///     decision: {class: bad, threshold: 0.167}
///     approval: {by: A. Person, date: 2026-11-24, evidence: 1/metrics.json}
///     batching: {max_queue_delay: 1ms, preferred_rows: 64, max_rows: 1024}
///     weight: 2                               # of its share of the time; others have 1
///     missing: {allowed: [savings], text: unknown, number: -999}
///     outputs: [margin, leaf]                 # beside the prediction, where the file's format has them
///     readiness: {required: true}
///     verify: {tolerance: 1e-6}               # or exact
///
/// All keys are optional; unknown ones and bad values are refused with their line.
public struct ModelConfiguration: Sendable, Equatable {
  public var owner: String?
  public var description: String?
  /// Names of the columns in the order of the model's inputs; they win over names in the model's file.
  public var featureNames: [String]?
  /// The class that the model is about, by its label, `"1"` for an integer.
  public var positiveClass: String?
  /// Names of outputs beyond the prediction: `margin` and `leaf` of boosters' own files.
  public var furtherOutputs: [String] = []
  public var decision: Decision?
  public var approval: Approval?
  public var batching = Batching()
  /// Its share of the scoring time, in proportion to others', while calls have to wait.
  public var weight = 1.0
  public var missing = Missing()
  public var readiness = Readiness()
  public var verify = Verify()

  /// Where each key stands, by its path; for errors that show only when the model is known.
  private var origins: [String: ConfigurationOrigin] = [:]

  public init() {}

  /// Yes when the class's probability is at least the threshold.
  public struct Decision: Sendable, Equatable {
    /// The class by its label, `"1"` for an integer.
    public var `class`: String
    /// From 0 to 1.
    public var threshold: Double

    public init(class: String, threshold: Double) {
      self.class = `class`
      self.threshold = threshold
    }
  }

  /// Who let this model decide, when and on what grounds.
  public struct Approval: Sendable, Equatable {
    public var by: String
    /// `YYYY-MM-DD`.
    public var date: String
    public var evidence: String?
  }

  public struct Batching: Sendable, Equatable {
    /// How long a row may wait for others; zero: not at all.
    public var maxQueueDelay: Duration = .zero
    /// Rows that end the waiting; nil: `maxRows`.
    public var preferredRows: Int?
    /// Rows of the largest batch; nil: the server's.
    public var maxRows: Int?
  }

  /// Which columns of a row may lack their value, beyond those for which the model itself has a rule.
  public struct Missing: Sendable, Equatable {
    public enum Allowed: Sendable, Equatable {
      case none
      case all
      case columns(Set<String>)
    }

    public var allowed = Allowed.none
    /// What a text column takes for a missing value; a number takes NaN.
    public var text = ""
    /// A number that stands for a missing value in every column of real numbers, beside NaN.
    public var number: Double?

    public func allows(_ column: String) -> Bool {
      switch allowed {
      case .none: false
      case .all: true
      case .columns(let names): names.contains(column)
      }
    }
  }

  public struct Readiness: Sendable, Equatable {
    /// Whether the server is not ready before this model is loaded, whatever its policy for the others.
    public var required = false
  }

  /// How near the answers have to be to expected ones, such as those of `golden.csv`.
  public struct Verify: Sendable, Equatable {
    /// Nil: exact for models that are trees alone, `VerificationTolerance.standard` for others.
    public var tolerance: VerificationTolerance?
  }

  private static let nameBytes = 256
  private static let textBytes = 4096

  /// Reads a `model.yaml`.
  public static func load(path: String) throws(ConfigurationError) -> ModelConfiguration {
    try decode(try YAMLNode.read(file: path), file: path)
  }

  /// Reads the text of a `model.yaml`; `file` is the name that errors show.
  public static func parse(_ text: String, file: String) throws(ConfigurationError) -> ModelConfiguration {
    try decode(try YAMLNode.parse(text, file: file), file: file)
  }

  private static func decode(_ root: YAMLNode?, file: String) throws(ConfigurationError) -> ModelConfiguration {
    var map = try ConfigurationMap(root, file: file)
    var configuration = ModelConfiguration()
    configuration.owner = try map.text("owner", bytes: textBytes)
    configuration.description = try map.text("description", bytes: textBytes)
    configuration.featureNames = try map.texts("feature_names", most: 65_536, bytes: nameBytes)
    configuration.positiveClass = try map.text("positive_class", bytes: nameBytes)
    configuration.furtherOutputs = try map.texts("outputs", most: 16, bytes: nameBytes) ?? []
    if var section = try map.section("decision") {
      let name = try section.text("class", bytes: nameBytes)
      let threshold = try section.number("threshold", 0...1)
      try map.finish(section)
      configuration.decision = Decision(
        class: try section.require(name, "class"), threshold: try section.require(threshold, "threshold"))
    }
    if var section = try map.section("approval") {
      let by = try section.text("by", bytes: textBytes)
      let date = try section.value("date", expected: "a date as YYYY-MM-DD") { isDate($0) ? $0 : nil }
      let evidence = try section.text("evidence", bytes: textBytes)
      try map.finish(section)
      configuration.approval = Approval(
        by: try section.require(by, "by"), date: try section.require(date, "date"), evidence: evidence)
    }
    if var section = try map.section("batching") {
      configuration.batching.maxQueueDelay =
        try section.duration("max_queue_delay", .zero ... .seconds(10)) ?? .zero
      configuration.batching.preferredRows = try section.count("preferred_rows", 1...1_048_576)
      configuration.batching.maxRows = try section.count("max_rows", 1...1_048_576)
      try map.finish(section)
    }
    configuration.weight = try map.number("weight", 0.01...100) ?? 1
    if var section = try map.section("missing") {
      if let (flag, columns) = try section.flagOrTexts("allowed", most: 65_536, bytes: nameBytes) {
        configuration.missing.allowed = flag.map { $0 ? .all : .none } ?? .columns(Set(columns))
      }
      configuration.missing.text =
        try section.value("text", expected: "a text of at most \(textBytes) bytes") {
          $0.utf8.count <= textBytes && !$0.utf8.contains(0) ? $0 : nil
        } ?? ""
      configuration.missing.number = try section.number("number", -1e300...1e300)
      try map.finish(section)
    }
    if var section = try map.section("readiness") {
      configuration.readiness.required = try section.flag("required") ?? false
      try map.finish(section)
    }
    if var section = try map.section("verify") {
      configuration.verify.tolerance = try section.value(
        "tolerance", expected: "exact, or a number from 0 to 1", VerificationTolerance.init)
      try map.finish(section)
    }
    try map.finish()
    configuration.origins = map.origins
    try configuration.checkTogether()
    return configuration
  }

  private func refusal(_ key: String, _ message: String) -> ConfigurationError {
    ConfigurationError(origins[key] ?? .standard, key: key, message)
  }

  private func checkTogether() throws(ConfigurationError) {
    if let preferred = batching.preferredRows, let most = batching.maxRows, preferred > most {
      throw refusal("batching.preferred_rows", "got \(preferred), expected at most batching.max_rows, which is \(most)")
    }
  }

  private static func isDate(_ text: String) -> Bool {
    let parts = text.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.map(\.utf8.count) == [4, 2, 2] else { return false }
    let numbers = parts.compactMap { ConfigurationScalar.count(String($0)) }
    guard numbers.count == 3, numbers[0] > 0, (1...12).contains(numbers[1]) else { return false }
    let (year, month) = (numbers[0], numbers[1])
    let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    let days = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]
    return (1...days).contains(numbers[2])
  }

  // MARK: Against the model

  /// Whether a row may lack this column's value: the model has a rule for it, or its owner says so.
  public func allowsMissing(_ column: ModelSignature.Column) -> Bool {
    guard column.type == .float32 || column.type == .float64 || column.type == .text else { return false }
    return column.missingAllowed || missing.allows(column.name)
  }

  /// What expected answers are compared by; `isTreesOnly` is the loaded model's.
  public func tolerance(isTreesOnly: Bool) -> VerificationTolerance {
    verify.tolerance ?? (isTreesOnly ? .exact : .standard)
  }

  /// Refuses what does not fit a model that was loaded: a class that it does not know, a column that it does not have.
  public func check(against signature: ModelSignature) throws(ConfigurationError) {
    if let names = featureNames, names.count != signature.columns.count {
      throw refusal("feature_names", "got \(names.count) names, the model has \(signature.columns.count) columns")
    }
    if case .columns(let names) = missing.allowed {
      let known = Set(signature.columns.map(\.name))
      if let stranger = names.subtracting(known).min() {
        throw refusal("missing.allowed", "the model has no column \(ConfigurationError.quoted(stranger))")
      }
    }
    // As the services do: the probabilities' own classes, else those of the label.
    let probability = signature.outputs.first { $0.role == .probability }
    let classes = probability?.classes ?? signature.outputs.first { $0.role == .label }?.classes
    if let decision {
      guard probability != nil else {
        throw refusal("decision", "the model gives no probabilities")
      }
      try check(decision.class, among: classes, key: "decision.class")
    }
    if let positiveClass { try check(positiveClass, among: classes, key: "positive_class") }
  }

  private func check(
    _ name: String, among classes: ClassLabels?, key: String
  ) throws(ConfigurationError) {
    let labels: [String] =
      switch classes {
      case .text(let names): names
      case .integer(let numbers): numbers.map { String($0) }
      case nil: []
      }
    guard !labels.contains(name) else { return }
    let shown = labels.prefix(20).map { ConfigurationError.quoted($0, marks: "") }.joined(separator: ", ")
    throw refusal(
      key,
      "got \(ConfigurationError.quoted(name)), "
        + (labels.isEmpty ? "but the model names no classes" : "the model's classes are \(shown)"))
  }
}
