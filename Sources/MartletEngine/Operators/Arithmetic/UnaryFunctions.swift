import MartletCore

/// Computes `count` elements of a result from as many of an input.
typealias UnaryKernel =
  @Sendable (_ from: UnsafeRawPointer, _ to: UnsafeMutableRawPointer, _ count: Int) -> Void

/// A function of one real number; its properties are the operator's attributes.
protocol FloatFunction: Sendable {
  init(_ node: GraphNode) throws(ModelError)
  func apply<T: FloatElement>(_ x: T) -> T
  /// The kernel for elements of `type`; a requirement, so that it is made by code that is specialized for the function.
  func kernel(for type: ElementType) -> UnaryKernel
}

extension FloatFunction {
  func kernel(for type: ElementType) -> UnaryKernel {
    type == .float32 ? kernel(of: Float.self) : kernel(of: Double.self)
  }

  private func kernel<T: FloatElement>(of type: T.Type) -> UnaryKernel {
    { from, to, count in
      let x = from.assumingMemoryBound(to: T.self)
      let y = to.assumingMemoryBound(to: T.self)
      for i in 0..<count { y[i] = apply(x[i]) }
    }
  }
}

/// An operator that applies a real function to every element.
final class FloatFunctionOperator<Function: FloatFunction>: Operator {
  private let type: ElementType
  private let kernel: UnaryKernel

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(1...1, of: node)
    type = try context.type(0, of: node, among: ElementType.floats)
    kernel = try Function(node).kernel(for: type)
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    let result = try context.output(0, type, input.shape)
    kernel(input.bytes, result.bytes, result.count)
  }
}

struct SquareRoot: FloatFunction {
  init(_ node: GraphNode) {}
  func apply<T: FloatElement>(_ x: T) -> T { x.squareRoot() }
}

struct Exponential: FloatFunction {
  init(_ node: GraphNode) {}
  func apply<T: FloatElement>(_ x: T) -> T { T.exponential(x) }
}

struct Logarithm: FloatFunction {
  init(_ node: GraphNode) {}
  func apply<T: FloatElement>(_ x: T) -> T { T.logarithm(x) }
}

struct ReciprocalValue: FloatFunction {
  init(_ node: GraphNode) {}
  func apply<T: FloatElement>(_ x: T) -> T { 1 / x }
}

struct RoundedDown: FloatFunction {
  init(_ node: GraphNode) {}
  func apply<T: FloatElement>(_ x: T) -> T { x.rounded(.down) }
}

struct RoundedUp: FloatFunction {
  init(_ node: GraphNode) {}
  func apply<T: FloatElement>(_ x: T) -> T { x.rounded(.up) }
}

/// Rounds halves to the even neighbour.
struct RoundedToEven: FloatFunction {
  init(_ node: GraphNode) {}
  func apply<T: FloatElement>(_ x: T) -> T { x.rounded(.toNearestOrEven) }
}

struct ErrorFunction: FloatFunction {
  init(_ node: GraphNode) {}
  func apply<T: FloatElement>(_ x: T) -> T { T.errorFunction(x) }
}

struct Sine: FloatFunction {
  init(_ node: GraphNode) {}
  func apply<T: FloatElement>(_ x: T) -> T { T.sine(x) }
}

struct Cosine: FloatFunction {
  init(_ node: GraphNode) {}
  func apply<T: FloatElement>(_ x: T) -> T { T.cosine(x) }
}
