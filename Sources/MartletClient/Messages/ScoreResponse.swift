import MartletCore

/// Predictions for the rows of a scoring request, in their order.
public struct ScoreResponse: Sendable, Equatable {
  public enum Result: Sendable, Equatable {
    case classification(Classification)
    case regression(Regression)
    case outputs([NamedOutput])
  }

  /// The numbers of the predictions of consecutive rows: row i of the range is prediction (`instance`, `first` + i).
  public struct PredictionRange: Sendable, Equatable {
    public var instance: String
    public var first: UInt64
    public var rows: Int

    public init(instance: String, first: UInt64, rows: Int) {
      self.instance = instance
      self.first = first
      self.rows = rows
    }
  }

  public var model: String
  /// The version that scored.
  public var version: String
  public var rows: Int
  /// One range for each call that the request took, in the order of the rows.
  public var predictions: [PredictionRange]
  public var result: Result

  public init(model: String, version: String, rows: Int, predictions: [PredictionRange], result: Result) {
    self.model = model
    self.version = version
    self.rows = rows
    self.predictions = predictions
    self.result = result
  }

  /// The name under which an outcome of `row` is reported later.
  public func predictionID(row: Int) -> (instance: String, number: UInt64)? {
    var before = 0
    for range in predictions {
      if row >= before, row - before < range.rows { return (range.instance, range.first + UInt64(row - before)) }
      before += range.rows
    }
    return nil
  }
}

/// Numbers in the precision that the model computes in.
public enum RealValues: Sendable, Equatable {
  case floats([Float])
  case doubles([Double])

  public var count: Int {
    switch self {
    case .floats(let values): values.count
    case .doubles(let values): values.count
    }
  }

  /// The value at `index`, widened without loss.
  public subscript(index: Int) -> Double {
    switch self {
    case .floats(let values): Double(values[index])
    case .doubles(let values): values[index]
    }
  }

  func appending(_ more: RealValues) -> RealValues? {
    switch (self, more) {
    case (.floats(let first), .floats(let second)): .floats(first + second)
    case (.doubles(let first), .doubles(let second)): .doubles(first + second)
    default: nil
    }
  }
}

/// What a classifier says.
public struct Classification: Sendable, Equatable {
  /// The class of each row.
  public var labels: ClassLabels
  /// The classes, in the order of the columns of `probabilities`; empty when the model gives labels only.
  public var classes: ClassLabels
  /// Row-major `[rows, classes]`; nil when the model gives labels only.
  public var probabilities: RealValues?
  /// Whether each row reaches the decision's threshold; nil when the model has no threshold.
  public var decision: Decision?

  public struct Decision: Sendable, Equatable {
    public var reached: [Bool]
    /// The class whose probability is compared.
    public var decisionClass: String
    public var threshold: Double

    public init(reached: [Bool], decisionClass: String, threshold: Double) {
      self.reached = reached
      self.decisionClass = decisionClass
      self.threshold = threshold
    }
  }

  public init(labels: ClassLabels, classes: ClassLabels, probabilities: RealValues?, decision: Decision? = nil) {
    self.labels = labels
    self.classes = classes
    self.probabilities = probabilities
    self.decision = decision
  }
}

/// What a regressor says.
public struct Regression: Sendable, Equatable {
  /// Row-major `[rows, targets]`.
  public var values: RealValues
  public var targets: Int

  public init(values: RealValues, targets: Int = 1) {
    self.values = values
    self.targets = targets
  }
}

/// One output of a model that is neither a classifier nor a regressor.
public struct NamedOutput: Sendable, Equatable {
  public var name: String
  /// Values a row.
  public var width: Int
  /// Row-major `[rows, width]`.
  public var values: Column.Values

  public init(name: String, width: Int, values: Column.Values) {
    self.name = name
    self.width = width
    self.values = values
  }
}

extension ClassLabels {
  func appending(_ more: ClassLabels) -> ClassLabels? {
    switch (self, more) {
    case (.text(let first), .text(let second)): .text(first + second)
    case (.integer(let first), .integer(let second)): .integer(first + second)
    default: nil
    }
  }
}
