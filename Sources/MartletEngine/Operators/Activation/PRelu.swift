import MartletCore

/// A slope times an element below 0, else the element.
enum SlopedRectifier: ArithmeticFunction {
  static func apply<T: NumericElement>(_ a: T, _ b: T) -> T { a < .zero ? T.product(a, b) : a }
}

/// `PRelu`: x, or slope times x below 0; the slope is broadcast to the input.
final class PReluOperator: Operator {
  private let type: ElementType
  private let kernel: BinaryKernel

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    (type, kernel) = try node.binaryKernel(context, SlopedRectifier.self)
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    let slope = context.input(1)
    let broadcast = try Broadcast(input.shape, slope.shape)
    guard broadcast.shape == input.shape else {
      throw Status(.invalidArgument, "the slope \(slope.shape) does not broadcast to the input \(input.shape)")
    }
    try kernel(broadcast, input, slope, try context.output(0, type, input.shape))
  }
}
