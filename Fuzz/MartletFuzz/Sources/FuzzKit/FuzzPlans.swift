import MartletCore

/// A classifier without a file: two numbers, an integer, a text, a flag and a double in; a label and two
/// probabilities out. The label is "yes" when the numbers and the integer sum to more than 1, or the text is "yes".
final class MixedPlan: ScoringPlan {
  let signature = ModelSignature(
    inputs: [
      .init(name: "numbers", type: .float32, shape: [2]), .init(name: "n", type: .int64, shape: [1]),
      .init(name: "text", type: .text, shape: [1]), .init(name: "flag", type: .bool, shape: []),
      .init(name: "wide", type: .float64, shape: [1]),
    ],
    outputs: [
      .init(name: "label", type: .text, shape: [], role: .label, classes: .text(["no", "yes"])),
      .init(name: "probability", type: .float32, shape: [2], role: .probability, classes: .text(["no", "yes"])),
    ],
    columns: [
      .init(name: "a", input: 0, offset: 0, type: .float32, missingAllowed: true),
      .init(name: "b", input: 0, offset: 1, type: .float32, missingAllowed: false),
      .init(name: "n", input: 1, offset: 0, type: .int64, missingAllowed: false),
      .init(name: "text", input: 2, offset: 0, type: .text, missingAllowed: true),
      .init(name: "flag", input: 3, offset: 0, type: .bool, missingAllowed: false),
      .init(name: "wide", input: 4, offset: 0, type: .float64, missingAllowed: true),
    ])
  let summary = "mixed"
  private let yes = Array("yes".utf8)
  private let no = Array("no".utf8)

  func makeScratch() -> PlanScratch { PlanScratch() }

  func score(_ tile: Tile, rows: Range<Int>, scratch: PlanScratch) throws(Status) {
    let numbers = tile.input(0).assumingMemoryBound(to: Float.self)
    let integers = tile.input(1).assumingMemoryBound(to: Int64.self)
    let texts = tile.input(2).assumingMemoryBound(to: TextRef.self)
    let labels = tile.output(0).assumingMemoryBound(to: TextRef.self)
    let probabilities = tile.output(1).assumingMemoryBound(to: Float.self)
    for row in rows {
      let sum = numbers[2 * row] + numbers[2 * row + 1] + Float(integers[row])
      let isYes = sum > 1 || texts[row].bytes.elementsEqual(yes)
      labels[row] = (isYes ? yes : no).withUnsafeBytes { tile.texts.store($0) }
      probabilities[2 * row] = numbers[2 * row]
      probabilities[2 * row + 1] = numbers[2 * row + 1]
    }
  }
}

/// One input and one output of each element type; every output is its input, so that what was read is seen.
final class EchoPlan: ScoringPlan {
  let signature: ModelSignature
  let summary = "echo"

  init() {
    var inputs: [ModelSignature.Input] = []
    var outputs: [ModelSignature.Output] = []
    var columns: [ModelSignature.Column] = []
    for (index, type) in ElementType.allCases.enumerated() {
      let width = 1 + index % 3
      inputs.append(.init(name: "in \(type.datatype)", type: type, shape: [width]))
      outputs.append(.init(name: "out \(type.datatype)", type: type, shape: [width], role: .other))
      for offset in 0..<width {
        columns.append(
          .init(
            name: "\(type.datatype) \(offset)", input: index, offset: offset, type: type, missingAllowed: offset == 0))
      }
    }
    signature = ModelSignature(inputs: inputs, outputs: outputs, columns: columns)
  }

  func makeScratch() -> PlanScratch { PlanScratch() }

  func score(_ tile: Tile, rows: Range<Int>, scratch: PlanScratch) throws(Status) {
    for index in tile.inputs.indices {
      let stride = tile.inputs[index].stride
      let source = tile.input(index) + rows.lowerBound * stride
      (tile.output(index) + rows.lowerBound * stride).copyMemory(from: source, byteCount: rows.count * stride)
    }
  }
}

/// The same without FP16, which has no column that a `ScoreRequest` can fill: callable by both services.
final class NumbersPlan: ScoringPlan {
  let signature: ModelSignature
  let summary = "numbers"

  init() {
    let types: [ElementType] = [
      .bool, .uint8, .uint16, .uint32, .uint64, .int8, .int16, .int32, .int64, .float32, .float64,
    ]
    signature = ModelSignature(
      inputs: types.map { .init(name: $0.datatype, type: $0, shape: [1]) },
      outputs: [.init(name: "sum", type: .float64, shape: [1], role: .value)],
      columns: types.enumerated().map { index, type in
        .init(name: type.datatype, input: index, offset: 0, type: type, missingAllowed: false)
      })
  }

  func makeScratch() -> PlanScratch { PlanScratch() }

  /// Refuses a row whose last number is below 0, so that some calls of a batch fail and others must not.
  func score(_ tile: Tile, rows: Range<Int>, scratch: PlanScratch) throws(Status) {
    let doubles = tile.input(10).assumingMemoryBound(to: Double.self)
    let bytes = tile.input(1).assumingMemoryBound(to: UInt8.self)
    let sums = tile.output(0).assumingMemoryBound(to: Double.self)
    for row in rows {
      guard !(doubles[row] < 0) else { throw Status(.invalidArgument, "FP64: \(doubles[row]) is below 0") }
      sums[row] = doubles[row] + Double(bytes[row])
    }
  }
}
