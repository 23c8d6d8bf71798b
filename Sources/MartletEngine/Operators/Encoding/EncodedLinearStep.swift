import CKernels
import MartletCore

/// A model that is linear in a row's features, as far as what follows from the scores.
protocol LinearScorer: AnyObject, Sendable {
  var weights: LinearWeights { get }
  /// Makes the operator's outputs of the scores `[rows, targets]`, which may be changed.
  func finish(_ scores: UnsafeMutablePointer<Float>, rows: Int, _ context: RunContext) throws(Status)
}

/// A linear model behind an encoder: each category adds the weight of its feature, and no row of features is made.
///
/// The sum is the product's own, with the terms left out that are zero: features in their order by fused multiply-adds,
/// in the same parts. A term of zero changes nothing when its weight is finite, but for the sign of a sum that is zero;
/// a row with a negative zero is computed again with all terms. Where the weights of two targets are each other's
/// negatives, so are their sums, and one is computed; a row whose sum is zero or not a number is computed again.
final class EncodedLinearStep: AnyOperator, TextLookup, @unchecked Sendable {
  // `@unchecked Sendable`: pointers address the encoder's memory, which is only read once the step is made.
  private struct Term {
    /// Whether a part of the sum ends before this term.
    var endsPart: Bool
    /// The column of a code; -1 for a number.
    var column: Int
    /// `[targets, codes]` of a code, `[targets]` of a number.
    var weights: UnsafePointer<Float>
    /// `[codes]`; nil when all are 1, or have a weight that adds nothing.
    var values: UnsafePointer<Float>?
    var codes: Int
    /// Segment and place in it of a number.
    var segment: Int
    var index: Int
    /// Of a number that is read as a kernel does: the step's input, which element of how many, and its operations. None
    /// of a number that has to be converted.
    var input = -1
    var element = 0
    var width = 0
    var stages: UnsafePointer<martlet_number_stage>?
    var stageCount = 0
  }

  private let encoder: RowEncoder<Float>
  private let scorer: any LinearScorer
  private let segments: UnsafePointer<RowEncoder<Float>.Segment>
  private let terms: UnsafePointer<Term>
  private let termCount: Int
  private let intercepts: UnsafePointer<Float>?
  private let targets: Int
  /// Targets whose sums are computed: all, or the first of two when the second has the same weights with other signs.
  private let summed: Int

  /// Nil when the weights are not all finite or do not fit the encoder.
  init?(_ encoder: RowEncoder<Float>, _ scorer: any LinearScorer) {
    let weights = scorer.weights
    let matrix = weights.coefficients
    guard weights.features == encoder.width, matrix.allSatisfy(\.isFinite) else { return nil }
    let targets = weights.targets
    let isMirrored =
      targets == 2 && (0..<weights.features).allSatisfy { matrix[2 * $0] == -matrix[2 * $0 + 1] }
    let summed = isMirrored ? 1 : targets
    let part = MatrixProduct.part(depth: weights.features, columns: targets)
    var terms: [Term] = []
    var current = 0
    let memory = encoder.memory
    func add(_ position: Int, column: Int, weights: [Float], values: [Float], codes: Int, segment: Int, index: Int) {
      let own = position / part
      terms.append(
        Term(
          endsPart: own != current, column: column, weights: memory.keep(weights),
          values: values.isEmpty ? nil : memory.keep(values),
          codes: codes, segment: segment, index: index))
      current = own
    }
    func coefficients(_ position: Int) -> ArraySlice<Float> {
      matrix[(position * targets)..<(position * targets + summed)]
    }
    for (number, segment) in encoder.segments.enumerated() {
      let positions = segment.position..<(segment.position + segment.count)
      switch segment.kind {
      case .numbers:
        for position in positions {
          add(
            position, column: -1, weights: Array(coefficients(position)), values: [], codes: 0, segment: number,
            index: position - segment.position)
        }
      case .table:
        for position in positions {
          add(
            position, column: segment.column,
            weights: coefficients(position).flatMap { Array(repeating: $0, count: segment.codes) },
            values: (0..<segment.codes).map { segment.values[$0 * segment.count + position - segment.position] },
            codes: segment.codes, segment: number, index: 0)
        }
      case .code: return nil
      case .single:
        guard let places = segment.positions else { return nil }
        var start = positions.lowerBound
        while start < positions.upperBound {
          let end = min(positions.upperBound, (start / part + 1) * part)
          // A negative zero adds nothing to any sum, not even to its sign.
          var own = [Float](repeating: -0.0, count: summed * segment.codes)
          var values = [Float](repeating: 0, count: segment.codes)
          for code in 0..<segment.codes where (start..<end).contains(Int(places[code])) {
            guard segment.values[code].bitPattern != 0 else { continue }
            values[code] = segment.values[code]
            for (target, weight) in coefficients(Int(places[code])).enumerated() {
              own[target * segment.codes + code] = weight
            }
          }
          // A category whose value is a negative zero has a weight, and one without a feature has none.
          let isUnit = values.allSatisfy { $0 == 1 || $0.bitPattern == 0 }
          add(
            start, column: segment.column, weights: own, values: isUnit ? [] : values, codes: segment.codes,
            segment: number,
            index: 0)
          start = end
        }
      }
    }
    for index in terms.indices where terms[index].column < 0 {
      let segment = encoder.segments[terms[index].segment]
      guard segment.type == .float32 else { continue }
      let place = terms[index].index
      terms[index].input = segment.input
      terms[index].element = segment.element + place
      terms[index].width = segment.width
      terms[index].stages = memory.keep(
        encoder.stages[segment.stages].map {
          martlet_number_stage(kind: $0.kind.kernel, a: $0.a[place], b: $0.b[place])
        })
      terms[index].stageCount = segment.stages.count
    }
    self.encoder = encoder
    self.scorer = scorer
    self.targets = targets
    self.summed = summed
    segments = memory.keep(encoder.segments)
    self.terms = memory.keep(terms)
    termCount = terms.count
    intercepts = weights.intercepts.isEmpty ? nil : memory.keep(weights.intercepts)
  }

  var lookups: [TextLookupColumn] { encoder.lookups }

  override func run(_ context: RunContext) throws(Status) {
    let rows = context.input(0).dim(0)
    let size = min(RowEncoder<Float>.rowsAtOnce, max(1, rows))
    let scores = context.temporary(max(1, rows * targets), of: Float.self)
    let codes = context.temporary(max(1, encoder.columns.count * size), of: Int32.self)
    let numbers = context.temporary(size, of: Float.self)
    let sums = context.temporary(summed * size, of: Float.self)
    var first = 0
    while first < rows {
      let count = min(size, rows - first)
      try encoder.look(context, first, count, codes, stride: size, numbers)
      sums.update(repeating: 0, count: summed * size)
      let own = scores + first * targets
      var isFirst = true
      var isUnsure = false
      for index in 0..<termCount {
        let term = terms + index
        if term.pointee.endsPart {
          isUnsure = add(sums, count, stride: size, isFirst: isFirst, to: own) || isUnsure
          sums.update(repeating: 0, count: summed * size)
          isFirst = false
        }
        if term.pointee.input >= 0 {
          let from = context.input(term.pointee.input).floats + first * term.pointee.width + term.pointee.element
          martlet_add_staged_numbers(
            from, term.pointee.width, term.pointee.stages, term.pointee.stageCount, term.pointee.weights, count, summed,
            size, sums)
        } else if term.pointee.column < 0 {
          encoder.column(context, segments + term.pointee.segment, term.pointee.index, first, count, to: numbers)
          martlet_add_numbers(numbers, term.pointee.weights, count, summed, size, sums)
        } else if let values = term.pointee.values {
          martlet_add_coded(
            codes + term.pointee.column * size, term.pointee.weights, values, term.pointee.codes, count, summed, size,
            sums)
        } else {
          martlet_add_weights(
            codes + term.pointee.column * size, term.pointee.weights, term.pointee.codes, count, summed, size, sums)
        }
      }
      isUnsure = add(sums, count, stride: size, isFirst: isFirst, to: own) || isUnsure
      if isUnsure { try scoreWhole(context, first, count, to: own) }
      first += count
    }
    try scorer.finish(scores, rows: rows, context)
  }

  /// Adds the sums of a part to the scores and returns whether a row has to be computed with all terms.
  @inline(__always)
  private func add(
    _ sums: UnsafePointer<Float>, _ count: Int, stride: Int, isFirst: Bool, to scores: UnsafeMutablePointer<Float>
  ) -> Bool {
    if summed < targets { return martlet_mirrored_scores(sums, intercepts, !isFirst, count, scores) }
    var isUnsure = false
    for target in 0..<targets {
      for row in 0..<count {
        let sum = sums[target * stride + row]
        isUnsure = isUnsure || sum.bitPattern == 0x8000_0000
        put(sum, isFirst, target, &scores[row * targets + target])
      }
    }
    return isUnsure
  }

  @inline(__always)
  private func put(_ sum: Float, _ isFirst: Bool, _ target: Int, _ score: inout Float) {
    if !isFirst {
      score = sum + score
    } else if let intercepts {
      score = sum + intercepts[target]
    } else {
      score = sum
    }
  }

  /// The scores of `count` rows with all terms.
  private func scoreWhole(
    _ context: RunContext, _ first: Int, _ count: Int, to scores: UnsafeMutablePointer<Float>
  ) throws(Status) {
    let features = context.temporary(count * encoder.width, of: Float.self)
    try encoder.encode(context, rows: first..<(first + count), to: features)
    scorer.weights.score(features, to: scores, rows: count)
  }
}
