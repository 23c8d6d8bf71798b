import MartletCore

/// One application of an operator in a graph.
public struct GraphNode: Sendable {
  /// The node's name; may be empty, names are not unique.
  public var name: String
  public var opType: String
  /// Empty for the default domain.
  public var domain: String
  /// The version of its domain's operator set that the model asks for.
  public var opset: Int
  /// Names of values; an empty name is an optional input that is absent.
  public var inputs: [String]
  /// Names of values; an empty name is an output that nobody uses.
  public var outputs: [String]
  public var attributes: [String: AttributeValue]

  public init(
    name: String = "", opType: String, domain: String = "", opset: Int, inputs: [String], outputs: [String],
    attributes: [String: AttributeValue] = [:]
  ) {
    self.name = name
    self.opType = opType
    self.domain = domain
    self.opset = opset
    self.inputs = inputs
    self.outputs = outputs
    self.attributes = attributes
  }

  /// What messages call this node: its operator, and its name or else its first output.
  public var label: String {
    let place = name.isEmpty ? outputs.first.map { "making '\($0)'" } ?? "without outputs" : "'\(name)'"
    return domain.isEmpty ? "\(opType) node \(place)" : "\(domain).\(opType) node \(place)"
  }

  /// An error that begins with this node's label.
  public func error(_ problem: String) -> ModelError { ModelError("\(label): \(problem)") }

  /// An error about one attribute: `problem` continues "attribute 'axis' …".
  public func error(attribute: String, _ problem: String) -> ModelError {
    error("attribute '\(attribute)' \(problem)")
  }
}

/// Typed access: an attribute of another kind is an error that names operator, node and attribute.
extension GraphNode {
  public func integer(_ attribute: String) throws(ModelError) -> Int64? {
    guard let value = attributes[attribute] else { return nil }
    guard case .integer(let integer) = value else { throw mismatch(attribute, value, "an integer") }
    return integer
  }

  public func integer(_ attribute: String, default fallback: Int64) throws(ModelError) -> Int64 {
    try integer(attribute) ?? fallback
  }

  public func float(_ attribute: String) throws(ModelError) -> Float? {
    guard let value = attributes[attribute] else { return nil }
    guard case .float(let float) = value else { throw mismatch(attribute, value, "a float") }
    return float
  }

  public func float(_ attribute: String, default fallback: Float) throws(ModelError) -> Float {
    try float(attribute) ?? fallback
  }

  public func text(_ attribute: String) throws(ModelError) -> String? {
    guard let value = attributes[attribute] else { return nil }
    guard case .text(let text) = value else { throw mismatch(attribute, value, "a text") }
    return text
  }

  public func text(_ attribute: String, default fallback: String) throws(ModelError) -> String {
    try text(attribute) ?? fallback
  }

  public func integers(_ attribute: String) throws(ModelError) -> [Int64]? {
    guard let value = attributes[attribute] else { return nil }
    if case .packedIntegers(let packed) = value { return packed.values }
    guard case .integers(let integers) = value else { throw mismatch(attribute, value, "a list of integers") }
    return integers
  }

  /// The same without taking more memory than the file's form.
  public func packedIntegers(_ attribute: String) throws(ModelError) -> PackedIntegers? {
    if case .packedIntegers(let packed)? = attributes[attribute] { return packed }
    return try integers(attribute).map { PackedIntegers($0) }
  }

  public func floats(_ attribute: String) throws(ModelError) -> [Float]? {
    guard let value = attributes[attribute] else { return nil }
    guard case .floats(let floats) = value else { throw mismatch(attribute, value, "a list of floats") }
    return floats
  }

  /// A vector of texts.
  public func texts(_ attribute: String) throws(ModelError) -> ConstantTensor? {
    guard let value = attributes[attribute] else { return nil }
    guard case .texts(let texts) = value else { throw mismatch(attribute, value, "a list of texts") }
    return texts
  }

  public func tensor(_ attribute: String) throws(ModelError) -> ConstantTensor? {
    guard let value = attributes[attribute] else { return nil }
    guard case .tensor(let tensor) = value else { throw mismatch(attribute, value, "a tensor") }
    return tensor
  }

  public func ensemble(_ attribute: String) throws(ModelError) -> NativeEnsemble? {
    guard let value = attributes[attribute] else { return nil }
    guard case .ensemble(let ensemble) = value else { throw mismatch(attribute, value, "an ensemble") }
    return ensemble
  }

  /// `value`, or an error that `attribute` is missing.
  public func required<Value>(_ attribute: String, _ value: Value?) throws(ModelError) -> Value {
    guard let value else { throw error(attribute: attribute, "is missing") }
    return value
  }

  private func mismatch(_ attribute: String, _ value: AttributeValue, _ expected: String) -> ModelError {
    error(attribute: attribute, "is \(value.kind), expected \(expected)")
  }
}
