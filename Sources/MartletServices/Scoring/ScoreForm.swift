import MartletCore
import MartletRepository
import MartletWire

/// How the outputs of a model become a `ScoreResponse`: decided once, when the model is served.
struct ScoreForm {
  let kind: AnswerForm
  /// The encoded fields of an answer that are the same for every call: model and version.
  let head: [UInt8]
  /// The encoded fields of a classification that are the same for every call: classes, decision class, threshold.
  let classes: [UInt8]
  /// Column of the probabilities that the decision is about, and the threshold that it must reach.
  let decision: (column: Int, threshold: Double)?

  init(_ model: Model) {
    var head = ProtoBuffer()
    head.string(1, model.name)
    head.string(2, model.versionText)
    self.head = head.bytes

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
    self.classes = classes.bytes
    self.decision = decision
  }
}
