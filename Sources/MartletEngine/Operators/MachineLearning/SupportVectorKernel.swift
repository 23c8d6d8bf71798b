import CKernels
import MartletCore

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The kernel function of a support vector machine, between rows and vectors that the model holds.
///
/// Sums run over the features in their order, as ONNX Runtime's do, whatever the batch: a row has the same bits in all.
struct SupportVectorKernel: Sendable {
  private enum Kind {
    case linear, polynomial, radial, sigmoid
  }

  let features: Int
  let count: Int
  private let kind: Kind
  private let gamma: Float
  private let offset: Float
  private let degree: Float
  /// `[features, count]`: the vectors side by side.
  private let vectors: ConstantTensor

  /// Reads the kernel's attributes.
  ///
  /// - Parameters:
  ///   - vectors: `[count, features]`, row-major.
  ///   - isLinear: whether the vectors are coefficients of a linear model, whatever kernel the file names.
  ///   - offset: what a linear kernel adds.
  init(
    _ node: GraphNode, vectors: [Float], count: Int, attribute: String, isLinear: Bool = false, offset: Float = 0
  ) throws(ModelError) {
    guard count > 0, !vectors.isEmpty, vectors.count % count == 0 else {
      throw node.error(attribute: attribute, "has \(vectors.count) values for \(count) vectors")
    }
    let name = try node.text("kernel_type", default: "LINEAR")
    switch name {
    case _ where isLinear: kind = .linear
    case "LINEAR": kind = .linear
    case "POLY": kind = .polynomial
    case "RBF": kind = .radial
    case "SIGMOID": kind = .sigmoid
    default: throw node.error(attribute: "kernel_type", "is '\(name)', expected LINEAR, POLY, RBF or SIGMOID")
    }
    let parameters = try node.floats("kernel_params") ?? []
    guard parameters.isEmpty || parameters.count == 3 else {
      throw node.error(
        attribute: "kernel_params", "has \(parameters.count) values, expected 3: gamma, coef0 and degree")
    }
    gamma = parameters.isEmpty ? 0 : parameters[0]
    self.offset = kind == .linear ? offset : parameters.isEmpty ? 0 : parameters[1]
    degree = parameters.isEmpty ? 0 : parameters[2]
    let features = vectors.count / count
    self.features = features
    self.count = count
    self.vectors = ConstantTensor(.float32, Shape(features, count)) { bytes in
      let values = bytes.assumingMemoryBound(to: Float.self)
      for vector in 0..<count {
        for feature in 0..<features { values[feature * count + vector] = vectors[vector * features + feature] }
      }
    }
  }

  /// Writes the kernel of every row of `x` `[rows, features]` with every vector to `values` `[rows, count]`.
  func apply(_ x: UnsafePointer<Float>, rows: Int, to values: UnsafeMutablePointer<Float>) {
    let vectors = vectors.pointer(as: Float.self)
    if kind == .radial {
      martlet_radial_kernel(x, vectors, values, rows, features, count, gamma)
      return
    }
    let all = rows * count
    if offset != 0 { values.update(repeating: offset, count: all) }
    MatrixProduct.multiply(
      x, vectors, values, rows: rows, depth: features, columns: count, alpha: kind == .linear ? 1 : gamma,
      accumulates: offset != 0)
    switch kind {
    case .linear, .radial: break
    case .polynomial where degree == 2: for i in 0..<all { values[i] *= values[i] }
    case .polynomial where degree == 3: for i in 0..<all { values[i] = values[i] * values[i] * values[i] }
    case .polynomial where degree >= 0 && degree < 1024 && degree == degree.rounded():
      for i in 0..<all { values[i] = Self.power(values[i], Int(degree)) }
    case .polynomial: for i in 0..<all { values[i] = powf(values[i], degree) }
    case .sigmoid: martlet_tanh_float(values, values, all)
    }
  }

  /// `x` to a whole exponent by repeated squaring: the factors of its bits from the lowest, and the highest one last.
  private static func power(_ x: Float, _ exponent: Int) -> Float {
    if exponent == 0 { return 1 }
    var square = x
    var product: Float = 1
    var rest = exponent
    while rest > 1 {
      if rest & 1 == 1 { product *= square }
      square *= square
      rest >>= 1
    }
    return product * square
  }
}
