import MartletCore

/// What is written of exponentials along an axis.
enum SoftmaxKind: Sendable {
  case probability
  case logarithm
}

/// Names one of the kinds as a type, so that registration is a line each.
protocol SoftmaxRule: SendableMetatype {
  static var kind: SoftmaxKind { get }
}

enum ProbabilityRule: SoftmaxRule { static var kind: SoftmaxKind { .probability } }

enum LogarithmRule: SoftmaxRule { static var kind: SoftmaxKind { .logarithm } }

/// `Softmax` and `LogSoftmax`: exponentials divided by their sum, with the greatest element taken out before.
///
/// Up to version 12 the sum is over all dimensions from `axis` on, then over that axis alone.
final class SoftmaxOperator<Rule: SoftmaxRule>: Operator {
  private let type: ElementType
  private let axis: Int
  private let coerces: Bool

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(1...1, of: node)
    type = try context.type(0, of: node, among: ElementType.floats)
    coerces = node.opset < 13
    axis = try node.axis(default: coerces ? 1 : -1)
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    let shape = input.shape
    var first = 0
    if coerces, axis == shape.rank {
      first = axis
    } else {
      first = try shape.checkedAxis(axis)
    }
    let behind = coerces ? shape.rank : first + 1
    let output = try context.output(0, type, shape)
    guard output.count > 0 else { return }
    let block = SoftmaxBlock(
      outer: shape.product(0..<first), size: shape.product(first..<behind), inner: shape.product(behind..<shape.rank))
    if type == .float32 {
      block.run(input.floats, output.floats, Rule.kind)
    } else {
      block.run(input.doubles, output.doubles, Rule.kind)
    }
  }
}

/// The three dimensions of a softmax: before, along and behind the axis.
private struct SoftmaxBlock {
  let outer: Int
  let size: Int
  let inner: Int

  @inline(__always)
  func run<T: FloatElement>(_ from: UnsafePointer<T>, _ to: UnsafeMutablePointer<T>, _ kind: SoftmaxKind) {
    for row in 0..<outer {
      for column in 0..<inner {
        let start = row * size * inner + column
        var greatest = -T.infinity
        for i in 0..<size { greatest = max(greatest, from[start + i * inner]) }
        var sum = 0.0
        for i in 0..<size {
          let position = start + i * inner
          let shifted = from[position] - greatest
          let exponential = T.exponential(shifted)
          sum += Double(exponential)
          to[position] = kind == .probability ? exponential : shifted
        }
        let total = kind == .probability ? T(sum) : T(Double.logarithm(sum))
        for i in 0..<size {
          let position = start + i * inner
          to[position] = kind == .probability ? to[position] / total : to[position] - total
        }
      }
    }
  }
}
