import MartletCore

/// `SVMRegressor`: a weighted sum of a kernel between the row and the support vectors, or a linear model when there are
/// none. A one-class machine answers 1 where the sum is positive and -1 elsewhere.
final class SVMRegressorOperator: Operator {
  private let kernel: SupportVectorKernel
  /// A column of weights of the support vectors; nil for a linear model.
  private let coefficients: ConstantTensor?
  private let offset: Float
  private let isOneClass: Bool

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(1...1, of: node)
    _ = try context.type(0, of: node, among: NumericInput.types)
    let coefficients = try node.required("coefficients", try node.floats("coefficients"))
    guard let offset = try node.required("rho", try node.floats("rho")).first else {
      throw node.error(attribute: "rho", "is empty, expected one value")
    }
    let supports = try node.integer("n_supports", default: 0)
    // As ONNX Runtime does, whose answers users know, the transform is read and not applied.
    let transform = try node.text("post_transform", default: "NONE")
    guard PostTransform(name: transform) != nil else {
      throw node.error(attribute: "post_transform", "is '\(transform)', expected \(PostTransform.names)")
    }
    isOneClass = try node.integer("one_class", default: 0) != 0
    self.offset = offset
    guard supports > 0 else {
      kernel = try SupportVectorKernel(
        node, vectors: coefficients, count: 1, attribute: "coefficients", isLinear: true, offset: offset)
      self.coefficients = nil
      return
    }
    guard supports == coefficients.count else {
      throw node.error(attribute: "coefficients", "has \(coefficients.count) values for \(supports) support vectors")
    }
    kernel = try SupportVectorKernel(
      node, vectors: try node.required("support_vectors", try node.floats("support_vectors")),
      count: coefficients.count, attribute: "support_vectors")
    self.coefficients = ConstantTensor(.float32, Shape(coefficients.count, 1), coefficients)
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    let (rows, features) = try NumericInput.matrix(input)
    guard features == kernel.features else {
      throw Status(.invalidArgument, "input 0 has \(features) features, expected \(kernel.features)")
    }
    let output = try context.output(0, .float32, Shape(rows, 1)).floats
    let x = NumericInput.floats(input, context)
    if let coefficients {
      let values = context.temporary(max(1, rows * kernel.count), of: Float.self)
      kernel.apply(x, rows: rows, to: values)
      output.update(repeating: offset, count: rows)
      MatrixProduct.multiply(
        values, coefficients.pointer(as: Float.self), output, rows: rows, depth: kernel.count, columns: 1,
        accumulates: true)
    } else {
      kernel.apply(x, rows: rows, to: output)
    }
    if isOneClass {
      for row in 0..<rows { output[row] = output[row] > 0 ? 1 : -1 }
    }
  }
}
