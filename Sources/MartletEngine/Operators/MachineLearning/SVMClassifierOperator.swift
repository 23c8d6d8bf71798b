import CKernels
import MartletCore

/// `SVMClassifier`: scores of all pairs of classes, from which votes choose the label; probabilities of the classes
/// where the file holds what they need.
///
/// Without `vectors_per_class` the coefficients are a linear model with a row for each class. Two classes without
/// probabilities have the scores `[-s, s]`, or `[1 - s, s]` under a transform, of which only LOGISTIC is applied, as ONNX
/// Runtime does it.
final class SVMClassifierOperator: Operator {
  /// What a machine with support vectors has beside its kernel.
  private struct Machine {
    /// `[count, classes - 1]`.
    let coefficients: ConstantTensor
    let starts: [Int32]
    let offsets: [Float]
    let coupling: PairwiseCoupling?
  }

  private let labels: ClassifierLabels
  private let kernel: SupportVectorKernel
  private let transform: PostTransform
  /// Nil for a linear model.
  private let machine: Machine?
  /// Whether no coefficient is negative: a linear model of two classes then decides at 0.5.
  private let isNonNegative: Bool

  private var pairs: Int { labels.count * (labels.count - 1) / 2 }

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(1...1, of: node)
    _ = try context.type(0, of: node, among: NumericInput.types)
    labels = try ClassifierLabels(node, integers: "classlabels_ints")
    let classes = labels.count
    guard classes > 0 else {
      throw node.error("has neither classlabels_strings nor classlabels_ints, expected one of them")
    }
    guard classes <= 4096 else { throw node.error("has \(classes) classes, at most 4096 are possible") }
    let coefficients = try node.required("coefficients", try node.floats("coefficients"))
    let offsets = try node.required("rho", try node.floats("rho"))
    isNonNegative = coefficients.allSatisfy { $0 >= 0 }
    let name = try node.text("post_transform", default: "NONE")
    guard let transform = PostTransform(name: name) else {
      throw node.error(attribute: "post_transform", "is '\(name)', expected \(PostTransform.names)")
    }
    self.transform = transform
    let perClass = try node.integers("vectors_per_class") ?? []
    guard perClass.contains(where: { $0 != 0 }) else {
      guard let offset = offsets.first else { throw node.error(attribute: "rho", "is empty, expected one value") }
      kernel = try SupportVectorKernel(
        node, vectors: coefficients, count: classes, attribute: "coefficients", isLinear: true, offset: offset)
      machine = nil
      return
    }
    let vectors = try node.required("support_vectors", try node.floats("support_vectors"))
    let machine = try Self.machine(
      node, classes: classes, perClass: perClass, coefficients: coefficients, offsets: offsets,
      atMost: vectors.count)
    kernel = try SupportVectorKernel(
      node, vectors: vectors, count: Int(machine.starts[classes]), attribute: "support_vectors")
    self.machine = machine
  }

  private static func machine(
    _ node: GraphNode, classes: Int, perClass: [Int64], coefficients: [Float], offsets: [Float], atMost limit: Int
  ) throws(ModelError) -> Machine {
    guard classes > 1, perClass.count == classes else {
      throw node.error(attribute: "vectors_per_class", "has \(perClass.count) values for \(classes) classes")
    }
    var starts: [Int32] = [0]
    for value in perClass {
      guard value >= 0, value <= Int64(limit) - Int64(starts[starts.count - 1]) else {
        throw node.error(attribute: "vectors_per_class", "has the value \(value), the file holds \(limit) numbers")
      }
      starts.append(starts[starts.count - 1] + Int32(value))
    }
    let count = Int(starts[classes])
    let pairs = classes * (classes - 1) / 2
    guard coefficients.count == (classes - 1) * count else {
      throw node.error(
        attribute: "coefficients",
        "has \(coefficients.count) values for \(count) support vectors and \(classes) classes")
    }
    guard offsets.count >= pairs else {
      throw node.error(attribute: "rho", "has \(offsets.count) values for \(pairs) pairs of classes")
    }
    let slopes = try node.floats("prob_a") ?? []
    let intercepts = try node.floats("prob_b") ?? []
    guard slopes.count == intercepts.count, slopes.isEmpty || slopes.count >= pairs else {
      throw node.error(
        "has \(slopes.count) values of prob_a and \(intercepts.count) of prob_b for \(pairs) pairs of classes")
    }
    return Machine(
      coefficients: ConstantTensor(.float32, Shape(count, classes - 1)) { bytes in
        let values = bytes.assumingMemoryBound(to: Float.self)
        for vector in 0..<count {
          for other in 0..<(classes - 1) {
            values[vector * (classes - 1) + other] = coefficients[other * count + vector]
          }
        }
      }, starts: starts, offsets: offsets,
      coupling: slopes.isEmpty ? nil : PairwiseCoupling(classes: classes, slopes: slopes, intercepts: intercepts))
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    let (rows, features) = try NumericInput.matrix(input)
    guard features == kernel.features else {
      throw Status(.invalidArgument, "input 0 has \(features) features, expected \(kernel.features)")
    }
    let x = NumericInput.floats(input, context)
    if let machine {
      try run(machine, x, rows, context)
    } else {
      try runLinear(x, rows, context)
    }
  }

  /// Rows of a block: what is known of them stays in the caches.
  private static let block = 64

  private func run(_ machine: Machine, _ x: UnsafePointer<Float>, _ rows: Int, _ context: RunContext) throws(Status) {
    let classes = labels.count
    let pairs = pairs
    let block = min(max(1, rows), Self.block)
    let values = context.temporary(block * kernel.count, of: Float.self)
    let sums = context.temporary(pairs + classes, of: Double.self)
    let scores = context.temporary(block * pairs, of: Float.self)
    let room = context.temporary(machine.coupling?.room ?? 1, of: Float.self)
    let votes = context.temporary(classes, of: Int32.self)
    let width = machine.coupling != nil ? classes : max(2, pairs)
    let label = context.wants(0) ? try labels.reserve(context, 0, rows: rows) : nil
    let output = context.wants(1) ? try context.output(1, .float32, Shape(rows, width)).floats : nil
    var first = 0
    while first < rows {
      let count = min(block, rows - first)
      kernel.apply(x + first * kernel.features, rows: count, to: values)
      martlet_class_pairs(
        values, machine.coefficients.pointer(as: Float.self), machine.starts, classes, machine.offsets, count, sums,
        scores)
      for row in 0..<count {
        let own = scores + row * pairs
        if let label { labels.write(winner(own, votes), asNumber: false, to: label, first + row) }
        guard let output else { continue }
        let target = UnsafeMutableBufferPointer(start: output + (first + row) * width, count: width)
        if let coupling = machine.coupling {
          coupling.apply(own, to: target.baseAddress.unsafelyUnwrapped, room: room)
          transform.apply(target)
        } else if classes > 2 {
          for pair in 0..<pairs { target[pair] = own[pair] }
          transform.apply(target)
        } else {
          writeBoth(own[0], to: target)
        }
      }
      first += count
    }
  }

  /// The class with the most votes, the first of equal ones.
  private func winner(_ scores: UnsafePointer<Float>, _ votes: UnsafeMutablePointer<Int32>) -> Int {
    let classes = labels.count
    votes.update(repeating: 0, count: classes)
    var pair = 0
    for i in 0..<classes {
      for j in (i + 1)..<max(i + 1, classes) {
        votes[scores[pair] > 0 ? i : j] += 1
        pair += 1
      }
    }
    var best = 0
    for index in 1..<classes where votes[index] > votes[best] { best = index }
    return best
  }

  private func writeBoth(_ score: Float, to target: UnsafeMutableBufferPointer<Float>) {
    switch transform {
    case .none:
      target[0] = -score
      target[1] = score
    case .probit:
      target[0] = PostTransform.probit(score)
      target[1] = 1 - target[0]
    case .logistic:
      target[1] = PostTransform.logistic(score)
      target[0] = 1 - target[1]
    case .softmax, .softmaxZero:
      target[0] = 1 - score
      target[1] = score
    }
  }

  private func runLinear(_ x: UnsafePointer<Float>, _ rows: Int, _ context: RunContext) throws(Status) {
    let classes = labels.count
    let scores = context.temporary(max(1, rows * classes), of: Float.self)
    kernel.apply(x, rows: rows, to: scores)
    if context.wants(0) {
      let target = try labels.reserve(context, 0, rows: rows)
      for row in 0..<rows {
        let own = scores + row * classes
        var best = 0
        for index in 1..<max(1, classes) where own[index] > own[best] { best = index }
        if classes == 2, isNonNegative ? own[best] >= 0.5 : own[best] > 0 { best = 1 }
        labels.write(best, asNumber: false, to: target, row)
      }
    }
    guard context.wants(1) else { return }
    let output = try context.output(1, .float32, Shape(rows, classes)).floats
    output.update(from: scores, count: rows * classes)
    if classes > 1 {
      for row in 0..<rows {
        transform.apply(UnsafeMutableBufferPointer(start: output + row * classes, count: classes))
      }
    }
  }
}
