import MartletCore

extension ScoreResponse {
  /// The answers to the parts of one request, in order, as one answer.
  ///
  /// Fails when the parts are not of one model version with the same classes and outputs.
  public static func joining(_ parts: [ScoreResponse]) throws(MessageError) -> ScoreResponse {
    guard var whole = parts.first else { throw MessageError("there is no part to join") }
    for part in parts.dropFirst() {
      guard part.model == whole.model, part.version == whole.version else {
        throw MessageError(
          "parts of one request were scored by \(whole.model) version \(whole.version) and by \(part.model) "
            + "version \(part.version)")
      }
      guard let result = whole.result.appending(part.result) else {
        throw MessageError("parts of one request have results of different kinds")
      }
      whole.result = result
      whole.rows += part.rows
      whole.predictions += part.predictions
    }
    return whole
  }
}

extension ScoreResponse.Result {
  fileprivate func appending(_ more: ScoreResponse.Result) -> ScoreResponse.Result? {
    switch (self, more) {
    case (.classification(let first), .classification(let second)):
      guard let joined = first.appending(second) else { return nil }
      return .classification(joined)
    case (.regression(let first), .regression(let second)):
      guard first.targets == second.targets, let values = first.values.appending(second.values) else { return nil }
      return .regression(Regression(values: values, targets: first.targets))
    case (.outputs(let first), .outputs(let second)):
      guard first.count == second.count else { return nil }
      var joined: [NamedOutput] = []
      for (head, tail) in zip(first, second) {
        guard head.name == tail.name, head.width == tail.width, let values = head.values.appending(tail.values)
        else { return nil }
        joined.append(NamedOutput(name: head.name, width: head.width, values: values))
      }
      return .outputs(joined)
    default: return nil
    }
  }
}

extension Classification {
  fileprivate func appending(_ more: Classification) -> Classification? {
    guard classes == more.classes, let labels = labels.appending(more.labels) else { return nil }
    var joined = Classification(labels: labels, classes: classes, probabilities: nil)
    switch (probabilities, more.probabilities) {
    case (nil, nil): break
    case (let first?, let second?):
      guard let both = first.appending(second) else { return nil }
      joined.probabilities = both
    default: return nil
    }
    switch (decision, more.decision) {
    case (nil, nil): break
    case (let first?, let second?):
      guard first.decisionClass == second.decisionClass, first.threshold == second.threshold else { return nil }
      joined.decision = first
      joined.decision?.reached += second.reached
    default: return nil
    }
    return joined
  }
}

extension Column.Values {
  fileprivate func appending(_ more: Column.Values) -> Column.Values? {
    switch (self, more) {
    case (.doubles(let first), .doubles(let second)): .doubles(first + second)
    case (.floats(let first), .floats(let second)): .floats(first + second)
    case (.integers(let first), .integers(let second)): .integers(first + second)
    case (.texts(let first), .texts(let second)): .texts(first + second)
    case (.booleans(let first), .booleans(let second)): .booleans(first + second)
    default: nil
    }
  }
}
