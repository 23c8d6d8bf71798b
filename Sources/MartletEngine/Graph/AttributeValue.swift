import MartletCore

/// The value of an operator's attribute, as a model file gives it.
public enum AttributeValue: Sendable {
  case float(Float)
  case integer(Int64)
  case text(String)
  case floats([Float])
  case integers([Int64])
  /// A list of integers that is as long as a forest has nodes; read like any other.
  case packedIntegers(PackedIntegers)
  /// A vector of texts.
  case texts(ConstantTensor)
  case tensor(ConstantTensor)
  /// A graph that the operator runs; what it reads of the graph around it are inputs of the node.
  case graph(Graph)
  /// The value of an attribute of the function around the node; none is left when a file has been read.
  case reference(String)
  /// Trees of a booster's own file; no ONNX file has such.
  case ensemble(NativeEnsemble)

  /// What messages call this kind of value.
  var kind: String {
    switch self {
    case .float: "a float"
    case .integer: "an integer"
    case .text: "a text"
    case .floats: "a list of floats"
    case .integers, .packedIntegers: "a list of integers"
    case .texts: "a list of texts"
    case .tensor: "a tensor"
    case .graph: "a graph"
    case .reference: "a reference"
    case .ensemble: "an ensemble"
    }
  }
}
