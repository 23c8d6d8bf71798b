import MartletCore

/// A model as its file describes it: operators, constants and how values flow between them.
public struct Graph: Sendable {
  /// A value that enters or leaves the graph.
  public struct Value: Sendable {
    public var name: String
    /// Nil where the file does not say, or says something that is not a tensor.
    public var type: ElementType?
    /// Nil where the file does not say; a dimension is nil where it is open.
    public var shape: [Int?]?
    /// Of an output, the value of the graph that it shows; nil: the one of its own name.
    public var source: String?
    /// Of an output, what it means; nil where that is for the planner to find out.
    public var role: OutputRole?
    /// Of an output with a role, its classes.
    public var classes: ClassLabels?

    public init(
      name: String, type: ElementType?, shape: [Int?]?, source: String? = nil, role: OutputRole? = nil,
      classes: ClassLabels? = nil
    ) {
      self.name = name
      self.type = type
      self.shape = shape
      self.source = source
      self.role = role
      self.classes = classes
    }
  }

  /// What a caller gives, in the order of the file; values that have an initializer are not among them.
  public var inputs: [Value]
  public var outputs: [Value]
  /// Outputs that the graph has for those who ask for them.
  public var furtherOutputs: [Value] = []
  /// How many of the inputs, the last ones, are values of the graph around this one, which is inside a node.
  public var capturedInputs = 0
  public var nodes: [GraphNode]
  public var initializers: [String: ConstantTensor]
  /// Version of the operator set for each domain, the default domain under the empty name.
  public var opsets: [String: Int]
  public var metadata: [String: String]
  /// Name and version of the program that wrote the file.
  public var producer: String

  public init(
    inputs: [Value], outputs: [Value], nodes: [GraphNode], initializers: [String: ConstantTensor] = [:],
    opsets: [String: Int] = [:], metadata: [String: String] = [:], producer: String = ""
  ) {
    self.inputs = inputs
    self.outputs = outputs
    self.nodes = nodes
    self.initializers = initializers
    self.opsets = opsets
    self.metadata = metadata
    self.producer = producer
  }
}
