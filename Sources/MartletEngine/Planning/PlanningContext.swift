import MartletCore

/// What is known of a node's inputs when its operator is made.
///
/// Planning runs the graph once on harmless rows, so the types are those that every call will see. The sizes are not:
/// only the number of dimensions and those behind the first are a hint (`shape(_:)`).
struct PlanningContext {
  struct Input {
    var type: ElementType
    /// The shape in the planning run.
    var shape: Shape
    var constant: ConstantTensor?
    /// The elements in the planning run, valid while the operator is made.
    var bytes = UnsafeRawPointer(bitPattern: 64).unsafelyUnwrapped
  }

  /// Nil for an optional input that is absent.
  let inputs: [Input?]
  let outputCount: Int
  /// Where tree ensembles are planned.
  var trees = TreePlanning(PlanningOptions(measuringNanoseconds: 0))

  var inputCount: Int { inputs.count }

  func hasInput(_ index: Int) -> Bool { index < inputs.count && inputs[index] != nil }

  /// The value of input `index` when it does not depend on the rows.
  func constant(_ index: Int) -> ConstantTensor? { hasInput(index) ? inputs[index]!.constant : nil }

  /// The type of input `index`; nil when it is absent.
  func type(_ index: Int) -> ElementType? { hasInput(index) ? inputs[index]!.type : nil }

  /// The shape of input `index` in the planning run; nil when it is absent.
  func shape(_ index: Int) -> Shape? { hasInput(index) ? inputs[index]!.shape : nil }

  /// The type of input `index`, which has to be one of `allowed`.
  func type(_ index: Int, of node: GraphNode, among allowed: [ElementType]) throws(ModelError) -> ElementType {
    guard let type = type(index) else { throw node.error("input \(index) is missing") }
    guard allowed.contains(type) else {
      throw node.error(
        "input \(index) is \(type), expected one of \(allowed.map { "\($0)" }.joined(separator: ", "))")
    }
    return type
  }

  /// Checks that the node has between `range` inputs; the first `range.lowerBound` of them present.
  func requireInputs(_ range: ClosedRange<Int>, of node: GraphNode) throws(ModelError) {
    guard range.contains(inputs.count) else {
      throw node.error("has \(inputs.count) inputs, expected \(range.lowerBound) to \(range.upperBound)")
    }
    for index in 0..<range.lowerBound where inputs[index] == nil {
      throw node.error("input \(index) is missing")
    }
  }
}
