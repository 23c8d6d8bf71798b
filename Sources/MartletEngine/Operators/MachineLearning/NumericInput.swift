import MartletCore

/// Numbers of any type that ai.onnx.ml operators take, read in single precision as ONNX Runtime converts them.
enum NumericInput {
  static let types: [ElementType] = [.float32, .float64, .int64, .int32]

  /// The elements of `tensor` as floats: its own memory, or a converted copy that lives until `run` returns.
  static func floats(_ tensor: Tensor, _ context: RunContext) -> UnsafePointer<Float> {
    if tensor.type == .float32 { return UnsafePointer(tensor.floats) }
    let copy = context.temporary(max(1, tensor.count), of: Float.self)
    for index in 0..<tensor.count { copy[index] = Float(value(tensor, index)) }
    return UnsafePointer(copy)
  }

  /// Element `index` of a tensor of one of `types`, in double precision.
  @inline(__always)
  static func value(_ tensor: Tensor, _ index: Int) -> Double {
    switch tensor.type {
    case .float32: Double(tensor.floats[index])
    case .float64: tensor.doubles[index]
    case .int64: Double(tensor.integers[index])
    default: Double(tensor.pointer(as: Int32.self)[index])
    }
  }

  /// Rows and features of a matrix; a vector is one row.
  static func matrix(_ tensor: Tensor) throws(Status) -> (rows: Int, features: Int) {
    switch tensor.rank {
    case 1: return (1, tensor.dim(0))
    case 2: return (tensor.dim(0), tensor.dim(1))
    default: throw Status(.invalidArgument, "input 0 has the shape \(tensor.shape), expected rows of features")
    }
  }
}

/// Weights of a linear model, laid out for a product from the right.
struct LinearWeights {
  let targets: Int
  let features: Int
  /// `[features, targets]`.
  private let matrix: ConstantTensor
  let intercepts: [Float]
  /// The weights of each feature, one for each target.
  var coefficients: [Float] { matrix.array(of: Float.self) }

  /// - Parameter coefficients: `[targets, features]`, row-major.
  init(_ node: GraphNode, coefficients: [Float], intercepts: [Float], targets: Int) throws(ModelError) {
    guard targets > 0, !coefficients.isEmpty, coefficients.count % targets == 0 else {
      throw node.error(attribute: "coefficients", "has \(coefficients.count) values for \(targets) targets")
    }
    guard intercepts.isEmpty || intercepts.count == targets else {
      throw node.error(attribute: "intercepts", "has \(intercepts.count) values for \(targets) targets")
    }
    let features = coefficients.count / targets
    self.targets = targets
    self.features = features
    self.intercepts = intercepts
    matrix = ConstantTensor(.float32, Shape(features, targets)) { bytes in
      let values = bytes.assumingMemoryBound(to: Float.self)
      for target in 0..<targets {
        for feature in 0..<features { values[feature * targets + target] = coefficients[target * features + feature] }
      }
    }
  }

  /// Writes the scores `[rows, targets]`: the intercept, to which the products are added.
  func score(_ input: Tensor, to scores: UnsafeMutablePointer<Float>, rows: Int, _ context: RunContext) {
    score(NumericInput.floats(input, context), to: scores, rows: rows)
  }

  /// The same of features in memory.
  func score(_ input: UnsafePointer<Float>, to scores: UnsafeMutablePointer<Float>, rows: Int) {
    if !intercepts.isEmpty {
      for row in 0..<rows {
        for target in 0..<targets { scores[row * targets + target] = intercepts[target] }
      }
    }
    MatrixProduct.multiply(
      input, matrix.pointer(as: Float.self), scores, rows: rows, depth: features, columns: targets,
      accumulates: !intercepts.isEmpty)
  }
}
