import MartletCore

// Decoding checks a response against itself, so that whoever indexes it by row cannot leave its arrays.

extension ScoreResponse: IncomingMessage {
  public init(reading reader: inout ProtobufReader) throws(MessageError) {
    var model = ""
    var version = ""
    var instance = ""
    var rows: UInt32 = 0
    var first: UInt64 = 0
    var classification: ClassificationFields?
    var regression: RegressionFields?
    var outputs: [OutputFields]?
    while try reader.next() {
      switch reader.field {
      case 1: model = try reader.string()
      case 2: version = try reader.string()
      case 3: rows = try reader.uint32()
      case 4: instance = try reader.string()
      case 5: first = try reader.unsigned()
      case 6:
        var nested = try reader.message()
        classification = try ClassificationFields(reading: &nested)
      case 7:
        var nested = try reader.message()
        regression = try RegressionFields(reading: &nested)
      case 8:
        var nested = try reader.message()
        outputs = []
        while try nested.next() {
          guard nested.field == 1 else {
            try nested.skip()
            continue
          }
          var output = try nested.message()
          outputs?.append(try OutputFields(reading: &output))
        }
      default: try reader.skip()
      }
    }
    let count = Int(rows)
    let result: Result
    switch (classification, regression, outputs) {
    case (let fields?, nil, nil): result = .classification(try fields.checked(rows: count))
    case (nil, let fields?, nil): result = .regression(try fields.checked(rows: count))
    case (nil, nil, let fields?):
      var checked: [NamedOutput] = []
      for field in fields { checked.append(try field.checked(rows: count)) }
      result = .outputs(checked)
    case (nil, nil, nil): throw MessageError("a score response has no result of a kind that this client knows")
    default: throw MessageError("a score response has more than one result")
    }
    guard UInt64.max - first >= UInt64(rows) else {
      throw MessageError("first_prediction \(first) leaves no numbers for \(rows) rows")
    }
    self.init(
      model: model, version: version, rows: count,
      predictions: [PredictionRange(instance: instance, first: first, rows: count)], result: result)
  }
}

private struct ClassificationFields {
  var textLabels: [String] = []
  var integerLabels: [Int64] = []
  var textClasses: [String] = []
  var integerClasses: [Int64] = []
  var floats: [Float] = []
  var doubles: [Double] = []
  var decisions: [Bool] = []
  var decisionClass = ""
  var threshold = 0.0

  init(reading reader: inout ProtobufReader) throws(MessageError) {
    while try reader.next() {
      switch reader.field {
      case 1: textLabels.append(try reader.string())
      case 2: try reader.append(to: &integerLabels)
      case 3: textClasses.append(try reader.string())
      case 4: try reader.append(to: &integerClasses)
      case 5: try reader.append(to: &floats)
      case 6: try reader.append(to: &doubles)
      case 7: try reader.append(to: &decisions)
      case 8: decisionClass = try reader.string()
      case 9: threshold = try reader.double()
      default: try reader.skip()
      }
    }
  }

  func checked(rows: Int) throws(MessageError) -> Classification {
    let labels: ClassLabels = integerLabels.isEmpty ? .text(textLabels) : .integer(integerLabels)
    guard labels.count == rows, textLabels.isEmpty || integerLabels.isEmpty else {
      throw MessageError(
        "classification has \(textLabels.count) text and \(integerLabels.count) integer labels for \(rows) rows")
    }
    let classes: ClassLabels = integerClasses.isEmpty ? .text(textClasses) : .integer(integerClasses)
    let probabilities: RealValues? =
      !doubles.isEmpty ? .doubles(doubles) : !floats.isEmpty ? .floats(floats) : nil
    if let probabilities {
      let (expected, overflow) = rows.multipliedReportingOverflow(by: classes.count)
      guard !overflow, probabilities.count == expected else {
        throw MessageError(
          "classification has \(probabilities.count) probabilities, expected \(rows) rows x \(classes.count) classes")
      }
    }
    guard decisions.isEmpty || decisions.count == rows else {
      throw MessageError("classification has \(decisions.count) decisions for \(rows) rows")
    }
    let decision =
      decisions.isEmpty
      ? nil : Classification.Decision(reached: decisions, decisionClass: decisionClass, threshold: threshold)
    return Classification(labels: labels, classes: classes, probabilities: probabilities, decision: decision)
  }
}

private struct RegressionFields {
  var floats: [Float] = []
  var doubles: [Double] = []
  var targets: UInt32 = 0

  init(reading reader: inout ProtobufReader) throws(MessageError) {
    while try reader.next() {
      switch reader.field {
      case 1: try reader.append(to: &floats)
      case 2: try reader.append(to: &doubles)
      case 3: targets = try reader.uint32()
      default: try reader.skip()
      }
    }
  }

  func checked(rows: Int) throws(MessageError) -> Regression {
    let values: RealValues = doubles.isEmpty ? .floats(floats) : .doubles(doubles)
    let width = max(1, Int(targets))
    let (expected, overflow) = rows.multipliedReportingOverflow(by: width)
    guard !overflow, values.count == expected else {
      throw MessageError("regression has \(values.count) values, expected \(rows) rows x \(width) targets")
    }
    return Regression(values: values, targets: width)
  }
}

private struct OutputFields {
  var name = ""
  var width: UInt32 = 0
  var floats: [Float] = []
  var doubles: [Double] = []
  var integers: [Int64] = []
  var texts: [String] = []
  var booleans: [Bool] = []

  init(reading reader: inout ProtobufReader) throws(MessageError) {
    while try reader.next() {
      switch reader.field {
      case 1: name = try reader.string()
      case 2: width = try reader.uint32()
      case 3: try reader.append(to: &floats)
      case 4: try reader.append(to: &doubles)
      case 5: try reader.append(to: &integers)
      case 6: texts.append(try reader.string())
      case 7: try reader.append(to: &booleans)
      default: try reader.skip()
      }
    }
  }

  func checked(rows: Int) throws(MessageError) -> NamedOutput {
    let values: Column.Values =
      if !doubles.isEmpty {
        .doubles(doubles)
      } else if !integers.isEmpty {
        .integers(integers)
      } else if !texts.isEmpty {
        .texts(texts)
      } else if !booleans.isEmpty {
        .booleans(booleans)
      } else {
        .floats(floats)
      }
    let (expected, overflow) = rows.multipliedReportingOverflow(by: Int(width))
    guard !overflow, values.count == expected else {
      throw MessageError("output \"\(name)\" has \(values.count) values, expected \(rows) rows x \(width)")
    }
    return NamedOutput(name: name, width: Int(width), values: values)
  }
}
