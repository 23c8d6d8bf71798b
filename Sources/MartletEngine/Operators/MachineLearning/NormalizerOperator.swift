import MartletCore

/// `Normalizer`: each row divided by its norm; a row whose norm is 0 stays as it is.
final class NormalizerOperator: Operator {
  private enum Norm {
    case max
    case l1
    case l2
  }

  private let norm: Norm

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(1...1, of: node)
    _ = try context.type(0, of: node, among: NumericInput.types)
    let name = try node.text("norm", default: "MAX")
    switch name {
    case "MAX": norm = .max
    case "L1": norm = .l1
    case "L2": norm = .l2
    default: throw node.error(attribute: "norm", "is '\(name)', expected MAX, L1 or L2")
    }
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    let (rows, features) = try NumericInput.matrix(input)
    let values = NumericInput.floats(input, context)
    let output = try context.output(0, .float32, input.shape).floats
    if case .l1 = norm, features == 2 {
      // The probabilities of two classes.
      for row in 0..<rows {
        let (a, b) = (values[2 * row], values[2 * row + 1])
        let sum = abs(a) + abs(b)
        output[2 * row] = sum != 0 ? a / sum : a
        output[2 * row + 1] = sum != 0 ? b / sum : b
      }
      return
    }
    for row in 0..<rows {
      let from = values + row * features
      let to = output + row * features
      switch norm {
      case .max:
        var greatest = -Float.greatestFiniteMagnitude
        for index in 0..<features where from[index] > greatest { greatest = from[index] }
        for index in 0..<features { to[index] = greatest != 0 ? from[index] / greatest : from[index] }
      case .l1:
        var sum: Float = 0
        for index in 0..<features { sum += abs(from[index]) }
        for index in 0..<features { to[index] = sum != 0 ? from[index] / sum : from[index] }
      case .l2:
        var sum: Float = 0
        for index in 0..<features {
          to[index] = Self.square(input, row * features + index)
          sum += to[index]
        }
        for index in 0..<features {
          let value = from[index]
          // The root of the quotient of squares, with the sign put back: as ONNX Runtime computes it.
          let part = (to[index] / sum).squareRoot()
          to[index] = sum != 0 ? (value < 0 ? -part : part) : value
        }
      }
    }
  }

  /// The square in the input's own type, then in single precision.
  @inline(__always)
  private static func square(_ tensor: Tensor, _ index: Int) -> Float {
    switch tensor.type {
    case .float32: tensor.floats[index] * tensor.floats[index]
    case .float64: Float(tensor.doubles[index] * tensor.doubles[index])
    case .int64: Float(tensor.integers[index] &* tensor.integers[index])
    default: Float(tensor.pointer(as: Int32.self)[index] &* tensor.pointer(as: Int32.self)[index])
    }
  }
}
