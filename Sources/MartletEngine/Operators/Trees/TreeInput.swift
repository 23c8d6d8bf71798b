import MartletCore

/// The rows of an ensemble's input in its own precision.
struct TreeInput<Value: TreeValue> {
  let rows: UnsafePointer<Value>
  let count: Int
  /// Elements a row.
  let width: Int

  static var types: [ElementType] { [.float32, .float64, .int32, .int64] }

  /// Checks while planning what `init` checks at every call.
  static func check(_ node: GraphNode, _ context: PlanningContext, features: Int) throws(ModelError) {
    try context.requireInputs(1...1, of: node)
    _ = try context.type(0, of: node, among: types)
    guard let shape = context.shape(0), shape.rank == 2 else {
      throw node.error("input 0 has the shape \(context.shape(0) ?? Shape()), expected [rows, features]")
    }
    guard features <= shape[1] else {
      throw node.error("a node reads feature \(features - 1), but the input has \(shape[1]) features")
    }
  }

  /// Converts the rows where their type is another: whole numbers to the nearest that the precision has.
  init(_ context: RunContext, features: Int) throws(Status) {
    let input = context.input(0)
    guard input.rank == 2, input.dim(1) >= features else {
      throw Status(.invalidArgument, "input of shape \(input.shape), expected [rows, at least \(features)]")
    }
    count = input.dim(0)
    width = input.dim(1)
    if input.type == (Value.self == Float.self ? .float32 : .float64) {
      rows = UnsafePointer(input.pointer(as: Value.self))
      return
    }
    let elements = input.count
    let converted = context.temporary(elements, of: Value.self)
    switch input.type {
    case .float32: for index in 0..<elements { converted[index] = Value(input.floats[index]) }
    case .float64: for index in 0..<elements { converted[index] = Value(input.doubles[index]) }
    case .int32:
      let integers = input.pointer(as: Int32.self)
      for index in 0..<elements { converted[index] = Value(integers[index]) }
    default: for index in 0..<elements { converted[index] = Value(input.integers[index]) }
    }
    rows = UnsafePointer(converted)
  }
}
