import MartletCore

/// Which of two elements is the one to find.
protocol ExtremumRule: SendableMetatype {
  static func beats<T: Comparable>(_ a: T, _ b: T) -> Bool
}

enum GreatestFirst: ExtremumRule {
  static func beats<T: Comparable>(_ a: T, _ b: T) -> Bool { a > b }
}

enum LeastFirst: ExtremumRule {
  static func beats<T: Comparable>(_ a: T, _ b: T) -> Bool { a < b }
}

extension ExtremumRule {
  /// Finds positions along the middle of three dimensions. Called on a concrete rule, so that the loops are
  /// specialized for it.
  static func find(
    _ input: Tensor, _ to: UnsafeMutablePointer<Int64>, outer: Int, size: Int, inner: Int, last: Bool
  ) {
    switch input.type {
    case .float32: find(input.floats, to, outer, size, inner, last)
    case .float64: find(input.doubles, to, outer, size, inner, last)
    case .int64: find(input.pointer(as: Int64.self), to, outer, size, inner, last)
    case .int32: find(input.pointer(as: Int32.self), to, outer, size, inner, last)
    case .int16: find(input.pointer(as: Int16.self), to, outer, size, inner, last)
    case .int8: find(input.pointer(as: Int8.self), to, outer, size, inner, last)
    case .uint64: find(input.pointer(as: UInt64.self), to, outer, size, inner, last)
    case .uint32: find(input.pointer(as: UInt32.self), to, outer, size, inner, last)
    case .uint16: find(input.pointer(as: UInt16.self), to, outer, size, inner, last)
    case .uint8: find(input.pointer(as: UInt8.self), to, outer, size, inner, last)
    case .bool, .float16, .text: break
    }
  }

  private static func find<T: NumericElement>(
    _ from: UnsafePointer<T>, _ to: UnsafeMutablePointer<Int64>, _ outer: Int, _ size: Int, _ inner: Int, _ last: Bool
  ) {
    for block in 0..<outer {
      for column in 0..<inner {
        let start = from + (block * size * inner + column)
        var best = start.pointee
        var position = 0
        for i in 1..<max(1, size) {
          let value = start[i * inner]
          // A first element that is not a number stays, one behind it never wins, as in ONNX Runtime.
          if beats(value, best) || (last && value == best) {
            best = value
            position = i
          }
        }
        to[block * inner + column] = Int64(position)
      }
    }
  }
}

/// `ArgMax` and `ArgMin`: where along an axis the extreme element is; of equal ones the first, or the last when asked.
final class ArgExtremumOperator<Rule: ExtremumRule>: Operator {
  private let axis: Int
  private let keeps: Bool
  private let last: Bool

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(1...1, of: node)
    _ = try context.type(0, of: node, among: ElementType.numbers)
    axis = try node.axis(default: 0)
    keeps = try node.flag("keepdims", default: true)
    last = node.opset >= 12 ? try node.flag("select_last_index", default: false) : false
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    let shape = input.shape
    let axis = try shape.checkedAxis(axis)
    var result = shape
    if keeps { result[axis] = 1 } else { result.remove(at: axis) }
    let output = try context.output(0, .int64, result)
    guard output.count > 0 else { return }
    guard shape[axis] > 0 else {
      throw Status(.invalidArgument, "axis \(axis) of the shape \(shape) has no elements")
    }
    Rule.find(
      input, output.integers, outer: shape.product(0..<axis), size: shape[axis],
      inner: shape.product((axis + 1)..<shape.rank), last: last)
  }
}
