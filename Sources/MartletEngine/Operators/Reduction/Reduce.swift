import MartletCore

/// Reduces a tensor; the tensors' types are those it was made for.
typealias ReductionKernel =
  @Sendable (_ dimensions: borrowing ReducedDimensions, _ from: Tensor, _ result: Tensor) -> Void

/// What becomes of several elements when they are made one.
///
/// Sums of 32-bit real numbers are accumulated in 64 bits, so that they do not depend on an order of summation that
/// other engines choose differently; but sums of squares in order and in 32 bits, as ONNX Runtime does, because
/// differences of nearly equal ones follow (distances of k-means).
protocol ReductionFunction: SendableMetatype {
  static func apply<T: NumericElement>(_ elements: ReducedElements<T>) -> T
  /// The kernel for elements of `type`; a requirement, so that it is made by code that is specialized for the function.
  static func kernel(for type: ElementType) -> ReductionKernel?
}

extension ReductionFunction {
  static func kernel(for type: ElementType) -> ReductionKernel? {
    switch type {
    case .float32: kernel(of: Float.self)
    case .float64: kernel(of: Double.self)
    case .int64: kernel(of: Int64.self)
    case .int32: kernel(of: Int32.self)
    case .int8: kernel(of: Int8.self)
    case .uint8, .bool: kernel(of: UInt8.self)
    case .uint64: kernel(of: UInt64.self)
    case .uint32: kernel(of: UInt32.self)
    case .int16, .uint16, .float16, .text: nil
    }
  }

  private static func kernel<T: NumericElement>(of type: T.Type) -> ReductionKernel {
    { dimensions, from, result in
      let to = result.pointer(as: T.self)
      dimensions.forEachResult(from.pointer(as: T.self)) { index, elements in to[index] = apply(elements) }
    }
  }
}

/// Sums what `term` makes of each element: whole numbers exactly, modulo their width, others in 64 bits.
@inline(__always)
private func total<T: NumericElement>(
  _ elements: ReducedElements<T>, whole: (T) -> T, real: (Double) -> Double
) -> (whole: T, real: Double) {
  if T.isFloatingPoint {
    var sum = 0.0
    elements.visit { sum += real($0.asDouble) }
    return (.zero, sum)
  }
  var sum = T.zero
  elements.visit { sum = T.sum(sum, whole($0)) }
  return (sum, sum.asDouble)
}

enum SumOfElements: ReductionFunction {
  static func apply<T: NumericElement>(_ elements: ReducedElements<T>) -> T {
    let sum = total(elements, whole: { $0 }, real: { $0 })
    return T.isFloatingPoint ? T(converting: sum.real) : sum.whole
  }
}

enum MeanOfElements: ReductionFunction {
  /// 0 for no elements, as ONNX Runtime has it; whole numbers are truncated.
  static func apply<T: NumericElement>(_ elements: ReducedElements<T>) -> T {
    guard elements.count > 0 else { return .zero }
    let sum = total(elements, whole: { $0 }, real: { $0 })
    if T.isFloatingPoint { return T(converting: sum.real / Double(elements.count)) }
    guard let count = T(exactly: elements.count) else { return .zero }
    return T.quotient(sum.whole, count)
  }
}

enum ProductOfElements: ReductionFunction {
  static func apply<T: NumericElement>(_ elements: ReducedElements<T>) -> T {
    if T.isFloatingPoint {
      var product = 1.0
      elements.visit { product *= $0.asDouble }
      return T(converting: product)
    }
    var product: T = 1
    elements.visit { product = T.product(product, $0) }
    return product
  }
}

enum SumOfSquares: ReductionFunction {
  static func apply<T: NumericElement>(_ elements: ReducedElements<T>) -> T {
    var sum = T.zero
    elements.visit { sum = T.sum(sum, T.product($0, $0)) }
    return sum
  }
}

enum SumOfMagnitudes: ReductionFunction {
  static func apply<T: NumericElement>(_ elements: ReducedElements<T>) -> T {
    let sum = total(elements, whole: { T.absolute($0) }, real: { $0.magnitude })
    return T.isFloatingPoint ? T(converting: sum.real) : sum.whole
  }
}

enum EuclideanNorm: ReductionFunction {
  static func apply<T: NumericElement>(_ elements: ReducedElements<T>) -> T {
    T(converting: total(elements, whole: { T.product($0, $0) }, real: { $0 * $0 }).real.squareRoot())
  }
}

enum LogarithmOfSum: ReductionFunction {
  static func apply<T: NumericElement>(_ elements: ReducedElements<T>) -> T {
    T(converting: Double.logarithm(total(elements, whole: { $0 }, real: { $0 }).real))
  }
}

enum LogarithmOfSumOfExponentials: ReductionFunction {
  static func apply<T: NumericElement>(_ elements: ReducedElements<T>) -> T {
    var greatest = -Double.infinity
    elements.visit { greatest = max(greatest, $0.asDouble) }
    // The greatest is taken out so that no exponential overflows; an infinite one cannot be.
    let shift = greatest.isFinite ? greatest : 0
    var sum = 0.0
    elements.visit { sum += Double.exponential($0.asDouble - shift) }
    return T(converting: Double.logarithm(sum) + shift)
  }
}

enum GreatestElement: ReductionFunction {
  /// Follows a first element that is not a number, else skips those, as ONNX Runtime does along an outer axis.
  static func apply<T: NumericElement>(_ elements: ReducedElements<T>) -> T {
    guard elements.count > 0 else { return T.bottom }
    var best = elements.start.pointee
    elements.visit { best = $0 > best ? $0 : best }
    return best
  }
}

enum LeastElement: ReductionFunction {
  /// Follows a first element that is not a number, else skips those, as ONNX Runtime does along an outer axis.
  static func apply<T: NumericElement>(_ elements: ReducedElements<T>) -> T {
    guard elements.count > 0 else { return T.top }
    var best = elements.start.pointee
    elements.visit { best = $0 < best ? $0 : best }
    return best
  }
}

/// Which versions give the axes of a reduction as an attribute, and which types it takes.
protocol ReductionRules: SendableMetatype {
  associatedtype Function: ReductionFunction
  /// The last version of the operator set in which the axes are an attribute.
  static var lastAttribute: Int { get }
  static var types: [ElementType] { get }
}

extension ReductionRules {
  static var lastAttribute: Int { 17 }
  static var types: [ElementType] { [.float32, .float64, .int32, .int64, .uint32, .uint64] }
}

enum ReduceSum: ReductionRules {
  typealias Function = SumOfElements
  static var lastAttribute: Int { 12 }
}

enum ReduceMean: ReductionRules { typealias Function = MeanOfElements }

enum ReduceProd: ReductionRules { typealias Function = ProductOfElements }

enum ReduceSumSquare: ReductionRules { typealias Function = SumOfSquares }

enum ReduceL1: ReductionRules { typealias Function = SumOfMagnitudes }

enum ReduceL2: ReductionRules { typealias Function = EuclideanNorm }

enum ReduceLogSum: ReductionRules { typealias Function = LogarithmOfSum }

enum ReduceLogSumExp: ReductionRules { typealias Function = LogarithmOfSumOfExponentials }

enum ReduceMax: ReductionRules {
  typealias Function = GreatestElement
  static var types: [ElementType] { [.float32, .float64, .int32, .int64, .uint32, .uint64, .int8, .uint8, .bool] }
}

enum ReduceMin: ReductionRules {
  typealias Function = LeastElement
  static var types: [ElementType] { ReduceMax.types }
}

/// A reduction over some axes or, when none are named, over all unless `noop_with_empty_axes`.
final class ReduceOperator<Rules: ReductionRules>: Operator {
  private let type: ElementType
  private let axes: IntegerSource
  private let keeps: Bool
  private let doesNothingWithoutAxes: Bool
  private let kernel: ReductionKernel

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(1...(node.opset <= Rules.lastAttribute ? 1 : 2), of: node)
    type = try context.type(0, of: node, among: Rules.types)
    axes = try IntegerSource(node, "axes", attributeUpTo: Rules.lastAttribute, input: 1)
    keeps = try node.flag("keepdims", default: true)
    doesNothingWithoutAxes =
      node.opset > Rules.lastAttribute ? try node.flag("noop_with_empty_axes", default: false) : false
    guard let kernel = Rules.Function.kernel(for: type) else {
      throw node.error("elements of type \(type) are not supported")
    }
    self.kernel = kernel
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    let shape = input.shape
    var set = UInt8(truncatingIfNeeded: (1 << shape.rank) - 1)
    if let list = try axes.read(context), list.count > 0 {
      set = try shape.checkedAxes(list)
    } else if doesNothingWithoutAxes {
      set = 0
    }
    let dimensions = ReducedDimensions(shape, axes: set, keeps: keeps)
    let result = try context.output(0, type, dimensions.result)
    kernel(dimensions, input, result)
  }
}
