import MartletCore

/// A graph as a list of operators that run one after the other on a block of rows.
///
/// `@unchecked Sendable`: all properties are constants, but for `costCurve`, which `GraphPlanner` sets before anybody
/// else sees the plan; steps and tensors are immutable.
public final class GraphPlan: ScoringPlan, @unchecked Sendable {
  /// Where an input goes; dimension 0 of `shape` is the rows of a call.
  struct InputLayout {
    var slot: Int
    var type: ElementType
    var shape: Shape
    /// Bytes of a row.
    var stride: Int { shape.product(1..<shape.rank) * type.byteWidth }
  }

  /// How an output's elements of a row lie in the tensor that the graph makes: `[before, rows * each, after]`.
  struct OutputLayout {
    var slot: Int
    var type: ElementType
    /// Elements of the dimensions before the one that grows with the rows.
    var before: Int
    /// What that dimension has for each row.
    var each: Int
    /// Elements of the dimensions behind it.
    var after: Int
    var width: Int { before * each * after }
  }

  private struct InputStep {
    var slot: Int
    var type: ElementType
    var stride: Int
  }

  public let signature: ModelSignature
  let steps: StepList
  /// The operators of the file one by one, where `steps` stand for several: they know why a row is refused.
  private let plainSteps: StepList?
  public let textCoding: TextCoding?
  private let inputs: [InputLayout]
  /// For each input its slot, its type and the bytes of a row, in tiles of texts and in those of their numbers.
  private let inputSteps: UnsafePointer<InputStep>
  private let codedSteps: UnsafePointer<InputStep>
  private let memory = StepMemory()
  private let outputs: [OutputLayout]
  private let slots: Int
  private let constants: [(slot: Int, tensor: ConstantTensor)]
  /// Rows that are scored at once, so that their values stay in the cache and memory stays bounded.
  let rowsAtOnce: Int
  public let ensembles: [EnsembleReport]
  public internal(set) var costCurve: ScoringCost?

  init(
    signature: ModelSignature, steps: StepList, plainSteps: StepList? = nil, textCoding: TextCoding? = nil,
    inputs: [InputLayout],
    outputs: [OutputLayout], slots: Int, constants: [(slot: Int, tensor: ConstantTensor)], rowsAtOnce: Int,
    ensembles: [EnsembleReport]
  ) {
    self.signature = signature
    self.steps = steps
    self.plainSteps = plainSteps
    self.inputs = inputs
    self.textCoding = textCoding
    inputSteps = memory.keep(inputs.map { InputStep(slot: $0.slot, type: $0.type, stride: $0.stride) })
    codedSteps = memory.keep(
      inputs.enumerated().map { index, input in
        guard textCoding?.coders[index] != nil else {
          return InputStep(slot: input.slot, type: input.type, stride: input.stride)
        }
        let width = input.stride / input.type.byteWidth
        return InputStep(slot: input.slot, type: .uint16, stride: width * ElementType.uint16.byteWidth)
      })
    self.outputs = outputs
    self.slots = slots
    self.constants = constants
    self.rowsAtOnce = rowsAtOnce
    self.ensembles = ensembles
  }

  public func makeScratch() -> PlanScratch {
    let scratch = EngineScratch(slots: slots, constants: constants)
    for input in inputs { scratch.slots[input.slot].alias(input.type, input.shape, at: scratch.slots[input.slot].base) }
    return scratch
  }

  public var summary: String {
    let plain = plainSteps.map { " in place of \($0.count)" } ?? ""
    let encodings = steps.encodings.map { ", \($0)" }.joined()
    return "a graph of \(steps.count) operators\(plain)\(encodings), at most \(rowsAtOnce) rows at once"
  }

  public func score(_ tile: Tile, rows: Range<Int>, scratch: PlanScratch) throws(Status) {
    guard type(of: scratch) == EngineScratch.self, unsafeDowncast(scratch, to: EngineScratch.self).count == slots else {
      throw Status(.internalError, "the scratch memory is of another plan")
    }
    guard rows.lowerBound >= 0, rows.upperBound <= tile.capacity else {
      throw Status(.internalError, "rows \(rows) of a tile of \(tile.capacity)")
    }
    guard tile.coding == nil || tile.coding === textCoding else {
      throw Status(.internalError, "the tile is of another plan")
    }
    let scratch = unsafeDowncast(scratch, to: EngineScratch.self)
    var first = rows.lowerBound
    while first < rows.upperBound {
      let count = min(rowsAtOnce, rows.upperBound - first)
      try score(tile, first: first, count: count, scratch)
      first += count
    }
  }

  /// Runs the operators of the file, which read texts.
  private func runPlain(
    _ steps: StepList, _ tile: Tile, first: Int, count: Int, _ scratch: EngineScratch
  ) throws(Status) {
    var made: [UnsafeMutablePointer<TextRef>] = []
    defer { for texts in made { texts.deallocate() } }
    for index in 0..<inputs.count where tile.coding != nil && codedSteps[index].type != inputSteps[index].type {
      guard let coder = textCoding?.coders[index] as? DictionaryCoder else { continue }
      let texts = UnsafeMutablePointer<TextRef>.allocate(capacity: max(1, count * coder.width))
      made.append(texts)
      let codes = (tile.input(index) + first * codedSteps[index].stride).assumingMemoryBound(to: UInt16.self)
      coder.texts(codes, count: count * coder.width, to: texts, tile.texts)
      let slot = scratch.slots + inputSteps[index].slot
      slot.pointee.type = .text
      slot.pointee.base = UnsafeMutableRawPointer(texts)
    }
    try steps.run(scratch, texts: tile.texts)
  }

  private func score(_ tile: Tile, first: Int, count: Int, _ scratch: EngineScratch) throws(Status) {
    let inputSteps = tile.coding == nil ? inputSteps : codedSteps
    for index in 0..<inputs.count {
      // The shape is the one that `makeScratch` gave.
      let slot = scratch.slots + inputSteps[index].slot
      slot.pointee.type = inputSteps[index].type
      slot.pointee.shape[0] = count
      slot.pointee.base = tile.input(index) + first * inputSteps[index].stride
    }
    do {
      try steps.run(scratch, texts: tile.texts)
    } catch {
      guard let plainSteps, error.code == .invalidArgument else { throw error }
      try runPlain(plainSteps, tile, first: first, count: count, scratch)
    }
    for index in 0..<outputs.count {
      let output = outputs[index]
      let tensor = Tensor(slot: scratch.slots + output.slot)
      guard tensor.type == output.type, tensor.count == count * output.width else {
        throw Status(
          .internalError,
          "output '\(signature.outputs[index].name)' is \(tensor.type) \(tensor.shape) for \(count) rows, expected "
            + "\(output.width) elements of \(output.type) a row")
      }
      let stride = output.width * output.type.byteWidth
      let target = tile.output(index) + first * stride
      if output.before == 1 {
        target.copyMemory(from: tensor.bytes, byteCount: count * stride)
        continue
      }
      // The rows are not the first dimension: gather each row's elements.
      let run = output.each * output.after * output.type.byteWidth
      for row in 0..<count {
        for before in 0..<output.before {
          (target + row * stride + before * run)
            .copyMemory(from: tensor.bytes + (before * count + row) * run, byteCount: run)
        }
      }
    }
  }
}
