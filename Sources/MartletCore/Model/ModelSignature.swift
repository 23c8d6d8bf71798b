/// What a model takes and gives, as a caller sees it.
public struct ModelSignature: Sendable {
  /// A tensor that the model takes: `[rows] + shape`.
  public struct Input: Sendable {
    public var name: String
    public var type: ElementType
    /// Dimensions behind the rows, `[85]` for 85 features, `[]` for a vector of one value a row.
    public var shape: [Int]
    /// Elements a row: the product of `shape`.
    public var width: Int { shape.reduce(1, *) }

    public init(name: String, type: ElementType, shape: [Int]) {
      self.name = name
      self.type = type
      self.shape = shape
    }
  }

  /// A tensor that the model gives: `[rows] + shape`.
  public struct Output: Sendable {
    public var name: String
    public var type: ElementType
    /// Dimensions behind the rows, `[2]` for the probabilities of two classes, `[]` for a label.
    public var shape: [Int]
    public var role: OutputRole
    /// The classes in the order of the columns, where the model says so.
    public var classes: ClassLabels?
    public var width: Int { shape.reduce(1, *) }

    public init(name: String, type: ElementType, shape: [Int], role: OutputRole, classes: ClassLabels? = nil) {
      self.name = name
      self.type = type
      self.shape = shape
      self.role = role
      self.classes = classes
    }
  }

  /// A named feature: one element a row of one input.
  public struct Column: Sendable {
    public var name: String
    /// Index into `inputs`.
    public var input: Int
    /// Which of the input's elements of a row.
    public var offset: Int
    public var type: ElementType
    /// Whether a row may lack this value: the model has a rule for it (imputation, a default direction).
    public var missingAllowed: Bool
    /// The categories that the model knows of, where it says so.
    public var categories: ClassLabels?

    public init(
      name: String, input: Int, offset: Int, type: ElementType, missingAllowed: Bool, categories: ClassLabels? = nil
    ) {
      self.name = name
      self.input = input
      self.offset = offset
      self.type = type
      self.missingAllowed = missingAllowed
      self.categories = categories
    }
  }

  public var inputs: [Input]
  public var outputs: [Output]
  public var columns: [Column]

  public init(inputs: [Input], outputs: [Output], columns: [Column]) {
    self.inputs = inputs
    self.outputs = outputs
    self.columns = columns
  }
}

/// What an output means.
public enum OutputRole: String, Sendable {
  /// The predicted class.
  case label
  /// One value a class, in the order of the classes.
  case probability
  /// The prediction of a regressor.
  case value
  case other
}

/// Labels or categories as the model was trained on them.
public enum ClassLabels: Sendable, Equatable {
  case text([String])
  case integer([Int64])

  public var count: Int {
    switch self {
    case .text(let labels): labels.count
    case .integer(let labels): labels.count
    }
  }

  /// The label at `index` as text.
  public func text(_ index: Int) -> String {
    switch self {
    case .text(let labels): labels[index]
    case .integer(let labels): String(labels[index])
    }
  }
}
