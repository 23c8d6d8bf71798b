import MartletCore
import MartletRepository
import MartletWire

/// How named columns become rows of a model and its outputs a `ScoreResponse`: decided once, when the model is served, and
/// kept as plain memory, since reading arrays and strings out of a signature costs reference counting each time.
///
/// `@unchecked Sendable`: written by `init` only. What it hands out is valid as long as it lives.
final class ScoreForm: @unchecked Sendable {
  /// Where the values of a column lie in a tile.
  struct Column {
    var input: Int
    /// Bytes from the start of a row of the input, and of a row.
    var offset: Int
    var stride: Int
    var type: ElementType
  }

  struct Output {
    var type: ElementType
    /// Elements and bytes of a row.
    var width: Int
    var stride: Int
  }

  let kind: AnswerForm
  let columns: UnsafeMutableBufferPointer<Column>
  let outputs: UnsafeMutableBufferPointer<Output>
  /// The encoded fields of an answer that are the same for every call: model and version.
  let head: UnsafeRawBufferPointer
  /// The encoded fields of a classification that are the same for every call: classes, decision class, threshold.
  let classes: UnsafeRawBufferPointer
  /// Column of the probabilities that the decision is about, and the threshold that it must reach.
  let decision: (column: Int, threshold: Double)?

  init(_ model: Model) {
    func keep(_ bytes: [UInt8]) -> UnsafeRawBufferPointer {
      let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, bytes.count), alignment: 16)
      copy.copyBytes(from: bytes)
      return UnsafeRawBufferPointer(rebasing: copy[..<bytes.count])
    }
    var head = ProtoBuffer()
    head.string(1, model.name)
    head.string(2, model.versionText)
    self.head = keep(head.bytes)
    let signature = model.signature
    columns = .allocate(capacity: signature.columns.count)
    for (index, column) in signature.columns.enumerated() {
      let input = signature.inputs[column.input]
      columns.initializeElement(
        at: index,
        to: Column(
          input: column.input, offset: column.offset * column.type.byteWidth,
          stride: input.width * input.type.byteWidth, type: column.type))
    }
    outputs = .allocate(capacity: signature.outputs.count)
    for (index, output) in signature.outputs.enumerated() {
      outputs.initializeElement(
        at: index,
        to: Output(type: output.type, width: output.width, stride: output.width * output.type.byteWidth))
    }

    kind = AnswerForm(model.signature)
    let labels = model.signature.answerClasses
    var hasProbability = false
    if case .classification(_, .some) = kind { hasProbability = true }

    var classes = ProtoBuffer()
    var decision: (column: Int, threshold: Double)?
    switch labels {
    case .text(let names): for name in names { classes.element(3, name) }
    case .integer(let numbers): classes.packed(4, numbers)
    case nil: break
    }
    if let wanted = model.configuration.decision, let labels, hasProbability {
      let column: Int? =
        switch labels {
        case .text(let names): names.firstIndex(of: wanted.class)
        case .integer(let numbers): numbers.firstIndex { String($0) == wanted.class }
        }
      if let column {
        decision = (column, wanted.threshold)
        classes.string(8, wanted.class)
        classes.double(9, wanted.threshold)
      }
    }
    self.classes = keep(classes.bytes)
    self.decision = decision
  }

  deinit {
    head.deallocate()
    classes.deallocate()
    columns.deallocate()
    outputs.deallocate()
  }
}
