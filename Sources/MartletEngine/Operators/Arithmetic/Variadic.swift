import MartletCore

/// `Sum`, `Min` and `Max` of any number of tensors, broadcast, from the first to the last.
final class VariadicOperator<Function: ArithmeticFunction>: Operator {
  private let type: ElementType
  private let kernel: BinaryKernel

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    (type, kernel) = try node.variadicKernel(context, Function.self)
  }

  func run(_ context: RunContext) throws(Status) {
    try context.fold(type, kernel)
  }
}

/// `Mean` of any number of tensors, broadcast: their sum divided by their number.
final class MeanOperator: Operator {
  private let type: ElementType
  private let kernel: BinaryKernel

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    (type, kernel) = try node.variadicKernel(context, Addition.self)
    guard ElementType.floats.contains(type) else {
      throw node.error("input 0 is \(type), expected float32 or float64")
    }
  }

  func run(_ context: RunContext) throws(Status) {
    try context.fold(type, kernel)
    guard context.inputCount > 1 else { return }
    let result = context.result(0)
    if type == .float32 {
      divide(result.floats, result.count, by: Float(context.inputCount))
    } else {
      divide(result.doubles, result.count, by: Double(context.inputCount))
    }
  }

  @inline(__always)
  private func divide<T: FloatElement>(_ values: UnsafeMutablePointer<T>, _ count: Int, by divisor: T) {
    for i in 0..<count { values[i] /= divisor }
  }
}

extension GraphNode {
  fileprivate func variadicKernel<Function: ArithmeticFunction>(
    _ context: PlanningContext, _ function: Function.Type
  ) throws(ModelError) -> (ElementType, BinaryKernel) {
    guard context.inputCount > 0 else { throw error("has no inputs, expected at least 1") }
    let type = try context.type(0, of: self, among: ElementType.numbers)
    for index in 1..<max(1, context.inputCount) { _ = try context.type(index, of: self, among: [type]) }
    guard let kernel = Function.kernel(for: type) else { throw error("elements of type \(type) are not supported") }
    return (type, kernel)
  }
}

extension RunContext {
  /// Combines all inputs into output 0.
  fileprivate func fold(_ type: ElementType, _ kernel: BinaryKernel) throws(Status) {
    let first = input(0)
    guard inputCount > 1 else { return output(0, viewing: first, first.shape) }
    if inputCount == 2 {
      let second = input(1)
      let broadcast = try Broadcast(first.shape, second.shape)
      return try kernel(broadcast, first, second, try output(0, type, broadcast.shape))
    }
    var shape = first.shape
    for index in 1..<inputCount { shape = try Broadcast(shape, input(index).shape).shape }
    let result = try output(0, type, shape)
    result.fill(broadcasting: first)
    for index in 1..<inputCount {
      let next = input(index)
      try kernel(try Broadcast(shape, next.shape), result, next, result)
    }
  }

  /// Output `index`, which the operator has made before.
  func result(_ index: Int) -> Tensor { Tensor(slot: slots + Int(outputs[index])) }
}

extension Tensor {
  /// Copies `source` into this tensor, repeating its dimensions of size 1.
  ///
  /// Precondition: `source` broadcasts to this tensor's shape.
  func fill(broadcasting source: Tensor) {
    var copy = StridedCopy()
    let shape = shape
    let sourceShape = source.shape
    let from = sourceShape.strides
    let to = shape.strides
    let added = shape.rank - sourceShape.rank
    for index in 0..<shape.rank {
      let repeats = index < added || sourceShape[index - added] == 1
      copy.append(size: shape[index], source: repeats ? 0 : from[index - added], target: to[index])
    }
    copy.run(from: source.bytes, to: bytes, width: type.byteWidth)
  }
}
