#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Probabilities of classes from the scores of all pairs of them, in single precision, step by step as ONNX Runtime
/// does it.
///
/// Source: T.-F. Wu, C.-J. Lin and R. C. Weng, "Probability estimates for multi-class classification by pairwise
/// coupling", 2004, the second method; J. Platt's logistic function of each score before it.
struct PairwiseCoupling: Sendable {
  private let classes: Int
  private let slopes: [Float]
  private let intercepts: [Float]

  /// `slopes` and `intercepts` have a number for each pair of classes i < j, in their order.
  init(classes: Int, slopes: [Float], intercepts: [Float]) {
    self.classes = classes
    self.slopes = slopes
    self.intercepts = intercepts
  }

  /// Numbers that `apply` needs room for.
  var room: Int { 2 * classes * classes + classes }

  /// Writes the probabilities of one row, from the scores of its pairs.
  func apply(_ scores: UnsafePointer<Float>, to p: UnsafeMutablePointer<Float>, room: UnsafeMutablePointer<Float>) {
    let r = room
    var pair = 0
    for i in 0..<classes {
      r[i * classes + i] = 0
      for j in (i + 1)..<max(i + 1, classes) {
        let value = scores[pair] * slopes[pair] + intercepts[pair]
        let probability = min(max(1 - PostTransform.logistic(value), 1e-7), 1 - 1e-7)
        r[i * classes + j] = probability
        r[j * classes + i] = 1 - probability
        pair += 1
      }
    }
    let q = room + classes * classes
    for i in 0..<classes {
      p[i] = 1 / Float(classes)
      var diagonal: Float = 0
      for j in 0..<classes where j != i {
        diagonal += r[j * classes + i] * r[j * classes + i]
        q[i * classes + j] = j < i ? q[j * classes + i] : -r[j * classes + i] * r[i * classes + j]
      }
      q[i * classes + i] = diagonal
    }
    iterate(q, p, q + classes * classes)
  }

  /// Minimizes p'Qp over probabilities `p`.
  private func iterate(
    _ q: UnsafePointer<Float>, _ p: UnsafeMutablePointer<Float>, _ qp: UnsafeMutablePointer<Float>
  ) {
    let tolerance = 0.005 / Float(classes)
    for _ in 0..<100 {
      var pqp: Float = 0
      for i in 0..<classes {
        qp[i] = 0
        for j in 0..<classes { qp[i] += q[i * classes + j] * p[j] }
        pqp += p[i] * qp[i]
      }
      var worst: Float = 0
      for i in 0..<classes { worst = max(worst, abs(qp[i] - pqp)) }
      if worst < tolerance { return }
      for i in 0..<classes {
        let own = q[i * classes + i]
        let step = (pqp - qp[i]) / own
        p[i] += step
        pqp = (pqp + step * (step * own + 2 * qp[i])) / (1 + step) / (1 + step)
        for j in 0..<classes {
          qp[j] = (qp[j] + step * q[i * classes + j]) / (1 + step)
          p[j] /= 1 + step
        }
      }
    }
  }
}
