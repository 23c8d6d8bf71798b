import MartletCore
import MartletRepository
import MartletWire

/// How the outputs of a model become a `ScoreResponse`: decided once, when the model is served.
struct ScoreForm {
  enum Kind {
    case classification(label: Int, probability: Int?)
    case regression(value: Int)
    case outputs
  }

  let kind: Kind
  /// The encoded fields of an answer that are the same for every call: model and version.
  let head: [UInt8]
  /// The encoded fields of a classification that are the same for every call: classes, decision class, threshold.
  let classes: [UInt8]
  /// Column of the probabilities that the decision is about, and the threshold that it must reach.
  let decision: (column: Int, threshold: Double)?

  init(_ model: Model) {
    let outputs = model.signature.outputs
    var head = ProtoBuffer()
    head.string(1, model.name)
    head.string(2, model.versionText)
    self.head = head.bytes

    let label = outputs.firstIndex { $0.role == .label && $0.width == 1 && ($0.type == .text || $0.type == .int64) }
    let probability = outputs.firstIndex { $0.role == .probability && ($0.type == .float32 || $0.type == .float64) }
    let values = outputs.indices.filter { outputs[$0].role == .value }
    if let label {
      kind = .classification(label: label, probability: probability)
    } else if values.count == 1, outputs.count == 1, outputs[0].type == .float32 || outputs[0].type == .float64 {
      kind = .regression(value: 0)
    } else {
      kind = .outputs
    }

    var classes = ProtoBuffer()
    var decision: (column: Int, threshold: Double)?
    let labels = probability.flatMap { outputs[$0].classes } ?? label.flatMap { outputs[$0].classes }
    switch labels {
    case .text(let names): for name in names { classes.element(3, name) }
    case .integer(let numbers): classes.packed(4, numbers)
    case nil: break
    }
    if let wanted = model.configuration.decision, let labels, probability != nil {
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
    self.classes = classes.bytes
    self.decision = decision
  }
}
