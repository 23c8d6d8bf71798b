/// What a model's outputs are to a caller of `martlet.v1`: a class, a number, or just outputs.
public enum AnswerForm: Sendable, Equatable {
  /// Indices into the signature's outputs.
  case classification(label: Int, probability: Int?)
  case regression(value: Int)
  case outputs

  public init(_ signature: ModelSignature) {
    let outputs = signature.outputs
    func isReal(_ index: Int) -> Bool { outputs[index].type == .float32 || outputs[index].type == .float64 }
    let label = outputs.firstIndex { $0.role == .label && $0.width == 1 && ($0.type == .text || $0.type == .int64) }
    let probability = outputs.indices.first { outputs[$0].role == .probability && isReal($0) }
    if let label {
      self = .classification(label: label, probability: probability)
    } else if outputs.count == 1, outputs[0].role == .value, isReal(0) {
      self = .regression(value: 0)
    } else {
      self = .outputs
    }
  }
}

extension ModelSignature {
  /// One element a row of one output, by the name that `martlet score` gives its column.
  public struct AnswerColumn: Sendable, Equatable {
    public var name: String
    /// Index into `outputs`.
    public var output: Int
    /// Which of the output's elements of a row.
    public var element: Int
  }

  /// The classes that labels and probabilities are of: the probabilities' own, else those of the label.
  public var answerClasses: ClassLabels? {
    guard case .classification(let label, let probability) = AnswerForm(self) else { return nil }
    return probability.flatMap { outputs[$0].classes } ?? outputs[label].classes
  }

  /// The columns of an answer, in order: `label` and `probability_CLASS`, or `value`, or the outputs by their names,
  /// `NAME` of one element and `NAME_0`, `NAME_1`, … of several.
  public var answerColumns: [AnswerColumn] {
    switch AnswerForm(self) {
    case .classification(let label, let probability):
      var columns = [AnswerColumn(name: "label", output: label, element: 0)]
      if let probability, let classes = answerClasses, classes.count == outputs[probability].width {
        for element in 0..<classes.count {
          columns.append(
            AnswerColumn(name: "probability_" + classes.text(element), output: probability, element: element))
        }
      }
      return columns
    case .regression(let value): return columns(named: "value", value)
    case .outputs: return outputs.indices.flatMap { columns(named: outputs[$0].name, $0) }
    }
  }

  /// Every element of every output by the output's own name, whatever the form of the answer.
  public var outputColumns: [AnswerColumn] { outputs.indices.flatMap { columns(named: outputs[$0].name, $0) } }

  private func columns(named name: String, _ output: Int) -> [AnswerColumn] {
    let width = outputs[output].width
    return (0..<width).map {
      AnswerColumn(name: width == 1 ? name : "\(name)_\($0)", output: output, element: $0)
    }
  }
}
