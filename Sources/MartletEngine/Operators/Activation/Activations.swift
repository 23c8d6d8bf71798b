import CKernels
import MartletCore

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// 1 / (1 + exp(-x)), computed from the magnitude so that nothing overflows.
struct LogisticFunction: FloatFunction {
  init(_ node: GraphNode) {}
  func apply<T: FloatElement>(_ x: T) -> T {
    let value = 1 / (1 + T.exponential(-x.magnitude))
    return x < 0 ? 1 - value : value
  }
}

/// Single precision has the bits of ONNX Runtime's approximation.
struct HyperbolicTangent: FloatFunction {
  init(_ node: GraphNode) {}
  func apply<T: FloatElement>(_ x: T) -> T { T.hyperbolicTangent(x) }
  func kernel(for type: ElementType) -> UnaryKernel {
    guard type == .float32 else {
      return { from, to, count in
        let x = from.assumingMemoryBound(to: Double.self)
        let y = to.assumingMemoryBound(to: Double.self)
        for i in 0..<count { y[i] = tanh(x[i]) }
      }
    }
    return { from, to, count in
      martlet_tanh_float(
        from.assumingMemoryBound(to: Float.self), to.assumingMemoryBound(to: Float.self), count)
    }
  }
}

/// `LeakyRelu`: x, or alpha x below 0.
struct LeakyRectifier: FloatFunction {
  let alpha: Float
  init(_ node: GraphNode) throws(ModelError) { alpha = try node.float("alpha", default: 0.01) }
  func apply<T: FloatElement>(_ x: T) -> T { x < 0 ? T(alpha) * x : x }
}

/// `ThresholdedRelu`: x above alpha, else 0.
struct ThresholdedRectifier: FloatFunction {
  let alpha: Float
  init(_ node: GraphNode) throws(ModelError) { alpha = try node.float("alpha", default: 1) }
  func apply<T: FloatElement>(_ x: T) -> T { x > T(alpha) ? x : 0 }
}

/// `Elu`: x, or alpha (exp(x) - 1) below 0.
struct ExponentialRectifier: FloatFunction {
  let alpha: Float
  init(_ node: GraphNode) throws(ModelError) { alpha = try node.float("alpha", default: 1) }
  func apply<T: FloatElement>(_ x: T) -> T { x < 0 ? T(alpha) * T.exponentialMinusOne(x) : x }
}

/// `Selu`: gamma x, or gamma alpha (exp(x) - 1) up to 0.
struct ScaledExponentialRectifier: FloatFunction {
  let alpha: Float
  let gamma: Float
  init(_ node: GraphNode) throws(ModelError) {
    alpha = try node.float("alpha", default: 1.67326319217681884765625)
    gamma = try node.float("gamma", default: 1.05070102214813232421875)
  }
  func apply<T: FloatElement>(_ x: T) -> T {
    T(gamma) * (x > 0 ? x : T(alpha) * T.exponentialMinusOne(x))
  }
}

/// log(1 + exp(x)), computed so that the exponential never overflows.
struct Softplus: FloatFunction {
  init(_ node: GraphNode) {}
  func apply<T: FloatElement>(_ x: T) -> T {
    x > 0 ? x + T.logarithmOnePlus(T.exponential(-x)) : T.logarithmOnePlus(T.exponential(x))
  }
}

/// `Swish`: x / (1 + exp(-alpha x)).
struct Swish: FloatFunction {
  let alpha: Float
  init(_ node: GraphNode) throws(ModelError) { alpha = try node.float("alpha", default: 1) }
  func apply<T: FloatElement>(_ x: T) -> T { x / (1 + T.exponential(-T(alpha) * x)) }
}

/// x / (1 + |x|).
struct Softsign: FloatFunction {
  init(_ node: GraphNode) {}
  func apply<T: FloatElement>(_ x: T) -> T { x / (1 + x.magnitude) }
}

/// `HardSigmoid`: alpha x + beta, kept between 0 and 1.
struct HardLogisticFunction: FloatFunction {
  let alpha: Float
  let beta: Float
  init(_ node: GraphNode) throws(ModelError) {
    alpha = try node.float("alpha", default: 0.2)
    beta = try node.float("beta", default: 0.5)
  }
  func apply<T: FloatElement>(_ x: T) -> T {
    let value = T(alpha) * x + T(beta)
    return value < 0 ? 0 : value > 1 ? 1 : value
  }
}

/// `Relu`: x, or 0 below 0; also of whole numbers.
enum Rectifier: NumericFunction {
  static func apply<T: NumericElement>(_ x: T) -> T { x < .zero ? .zero : x }
}
