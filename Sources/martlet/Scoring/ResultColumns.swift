import MartletClient
import MartletCore

/// A response as columns of the output.
enum ResultColumns {
  static func names(_ response: ScoreResponse, withPredictions: Bool) -> [String] {
    var names: [String]
    switch response.result {
    case .classification(let result):
      names = ["label"]
      if result.probabilities != nil {
        names += (0..<result.classes.count).map { "probability_" + result.classes.text($0) }
      }
      if result.decision != nil { names.append("decision") }
    case .regression(let result):
      names = result.targets == 1 ? ["value"] : (0..<result.targets).map { "value_\($0)" }
    case .outputs(let outputs):
      names = outputs.flatMap { output in
        output.width == 1 ? [output.name] : (0..<output.width).map { "\(output.name)_\($0)" }
      }
    }
    return names + (withPredictions ? ["prediction"] : [])
  }

  /// Appends the cells of one row.
  static func append(_ row: Int, of response: ScoreResponse, withPredictions: Bool, to cells: inout [OutputCell]) {
    switch response.result {
    case .classification(let result):
      switch result.labels {
      case .text(let labels): cells.append(.text(labels[row]))
      case .integer(let labels): cells.append(.integer(labels[row]))
      }
      let width = result.classes.count
      if let probabilities = result.probabilities {
        for index in row * width..<(row + 1) * width { cells.append(cell(probabilities, index)) }
      }
      if let decision = result.decision { cells.append(.boolean(decision.reached[row])) }
    case .regression(let result):
      for index in row * result.targets..<(row + 1) * result.targets { cells.append(cell(result.values, index)) }
    case .outputs(let outputs):
      for output in outputs {
        for index in row * output.width..<(row + 1) * output.width { cells.append(cell(output.values, index)) }
      }
    }
    if withPredictions {
      cells.append(response.predictionID(row: row).map { .text("\($0.instance)/\($0.number)") } ?? .missing)
    }
  }

  private static func cell(_ values: RealValues, _ index: Int) -> OutputCell {
    switch values {
    case .floats(let values): .float(values[index])
    case .doubles(let values): .double(values[index])
    }
  }

  private static func cell(_ values: Column.Values, _ index: Int) -> OutputCell {
    switch values {
    case .doubles(let values): .double(values[index])
    case .floats(let values): .float(values[index])
    case .integers(let values): .integer(values[index])
    case .texts(let values): .text(values[index])
    case .booleans(let values): .boolean(values[index])
    }
  }
}
