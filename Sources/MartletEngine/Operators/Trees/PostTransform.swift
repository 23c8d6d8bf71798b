#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// What happens to the scores of a row at the end, in single precision, step by step as ONNX Runtime does it.
///
/// Source: ONNX, `docs/Operators-ml.md` (`post_transform`).
enum PostTransform: Sendable {
  case none
  case logistic
  case softmax
  case softmaxZero
  case probit

  init?(name: String) {
    switch name {
    case "NONE": self = .none
    case "LOGISTIC": self = .logistic
    case "SOFTMAX": self = .softmax
    case "SOFTMAX_ZERO": self = .softmaxZero
    case "PROBIT": self = .probit
    default: return nil
    }
  }

  static let names = "NONE, SOFTMAX, LOGISTIC, SOFTMAX_ZERO or PROBIT"

  /// Transforms two or more scores of one row.
  func apply(_ scores: UnsafeMutableBufferPointer<Float>) {
    switch self {
    case .none: break
    case .logistic: for index in scores.indices { scores[index] = PostTransform.logistic(scores[index]) }
    case .probit: for index in scores.indices { scores[index] = PostTransform.probit(scores[index]) }
    case .softmax: PostTransform.softmax(scores, skipsZeros: false)
    case .softmaxZero: PostTransform.softmax(scores, skipsZeros: true)
    }
  }

  /// 1 / (1 + e^-x), computed on the positive side so that nothing overflows.
  static func logistic(_ x: Float) -> Float {
    let y = logisticOfMagnitude(x)
    return x < 0 ? 1 - y : y
  }

  /// The same of |x|.
  static func logisticOfMagnitude(_ x: Float) -> Float { 1 / (1 + expf(-abs(x))) }

  /// The quantile function of the normal distribution, with an approximated inverse error function.
  static func probit(_ x: Float) -> Float { 1.414_213_56 * inverseErrorFunction(2 * x - 1) }

  /// Source: S. Winitzki, "A handy approximation for the error function and its inverse", 2008.
  private static func inverseErrorFunction(_ x: Float) -> Float {
    let sign: Float = x < 0 ? -1 : 1
    let logarithm = logf((1 - x) * (1 + x))
    let a = 2 / (Float.pi * 0.147) + 0.5 * logarithm
    let b = logarithm / 0.147
    return sign * (-a + (a * a - b).squareRoot()).squareRoot()
  }

  /// `skipsZeros`: a score of (almost) zero is scaled like the others but takes no part in their sum.
  private static func softmax(_ scores: UnsafeMutableBufferPointer<Float>, skipsZeros: Bool) {
    var greatest = -Float.greatestFiniteMagnitude
    for score in scores where score > greatest { greatest = score }
    let scale = expf(-greatest)
    var sum: Float = 0
    for index in scores.indices {
      if !skipsZeros || scores[index] > 0.000_000_1 || scores[index] < -0.000_000_1 {
        scores[index] = expf(scores[index] - greatest)
        sum += scores[index]
      } else {
        scores[index] *= scale
      }
    }
    for index in scores.indices { scores[index] /= sum }
  }
}
