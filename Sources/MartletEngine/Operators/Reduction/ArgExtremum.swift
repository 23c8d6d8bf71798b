import MartletCore

/// Writes positions along the middle of three dimensions; the tensor's type is the one it was made for.
typealias ExtremumKernel =
  @Sendable (_ input: Tensor, _ to: UnsafeMutablePointer<Int64>, _ outer: Int, _ size: Int, _ inner: Int) -> Void

/// Which of two elements is the one to find.
protocol ExtremumRule: SendableMetatype {
  static func beats<T: Comparable>(_ a: T, _ b: T) -> Bool
  /// The kernel for elements of `type`, which finds the first or the `last` of equal ones; a requirement, so that it is
  /// made by code that is specialized for the rule.
  static func kernel(for type: ElementType, last: Bool) -> ExtremumKernel?
}

enum GreatestFirst: ExtremumRule {
  static func beats<T: Comparable>(_ a: T, _ b: T) -> Bool { a > b }
}

enum LeastFirst: ExtremumRule {
  static func beats<T: Comparable>(_ a: T, _ b: T) -> Bool { a < b }
}

extension ExtremumRule {
  static func kernel(for type: ElementType, last: Bool) -> ExtremumKernel? {
    switch type {
    case .float32: kernel(of: Float.self, last)
    case .float64: kernel(of: Double.self, last)
    case .int64: kernel(of: Int64.self, last)
    case .int32: kernel(of: Int32.self, last)
    case .int16: kernel(of: Int16.self, last)
    case .int8: kernel(of: Int8.self, last)
    case .uint64: kernel(of: UInt64.self, last)
    case .uint32: kernel(of: UInt32.self, last)
    case .uint16: kernel(of: UInt16.self, last)
    case .uint8: kernel(of: UInt8.self, last)
    case .bool, .float16, .text: nil
    }
  }

  private static func kernel<T: NumericElement>(of type: T.Type, _ last: Bool) -> ExtremumKernel {
    { input, to, outer, size, inner in find(input.pointer(as: T.self), to, outer, size, inner, last) }
  }

  private static func find<T: NumericElement>(
    _ from: UnsafePointer<T>, _ to: UnsafeMutablePointer<Int64>, _ outer: Int, _ size: Int, _ inner: Int, _ last: Bool
  ) {
    for block in 0..<outer {
      for column in 0..<inner {
        let start = from + (block * size * inner + column)
        // Finding the value and then its place predicts better than carrying the place along. A first element that
        // is not a number stays and equals nothing, one behind it never wins, as in ONNX Runtime.
        var best = start.pointee
        for i in 1..<max(1, size) {
          let value = start[i * inner]
          best = beats(value, best) ? value : best
        }
        var position = 0
        if last {
          for i in stride(from: size - 1, to: 0, by: -1) where start[i * inner] == best {
            position = i
            break
          }
        } else {
          for i in 0..<size where start[i * inner] == best {
            position = i
            break
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
  private let kernel: ExtremumKernel

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(1...1, of: node)
    let type = try context.type(0, of: node, among: ElementType.numbers)
    axis = try node.axis(default: 0)
    keeps = try node.flag("keepdims", default: true)
    let last = node.opset >= 12 ? try node.flag("select_last_index", default: false) : false
    guard let kernel = Rule.kernel(for: type, last: last) else {
      throw node.error("elements of type \(type) are not supported")
    }
    self.kernel = kernel
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
    kernel(
      input, output.integers, shape.product(0..<axis), shape[axis], shape.product((axis + 1)..<shape.rank))
  }
}
