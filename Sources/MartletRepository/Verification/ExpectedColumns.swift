import MartletCore

/// Which columns of a file hold expected answers, and of which output's elements.
///
/// A column is called as `martlet score` calls it (`label`, `probability_CLASS`, `value`), or by the output's own name
/// (`NAME`, or `NAME_0`, `NAME_1`, … of several elements), with or without `expected_` before it.
struct ExpectedColumns {
  struct Item {
    /// Which of the file's columns it is.
    var place: Int
    /// The name without `expected_`.
    var name: String
    var output: Int
    var element: Int
  }

  static let prefix = "expected_"

  private(set) var items: [Item] = []

  /// - Parameters:
  ///   - needsPrefix: whether a column without `expected_` is something else: in a file that has the features as well.
  ///   - ignoreExtra: whether other columns are passed over.
  /// Errors: an expected column of no output, an output's element that is expected twice, or nothing expected.
  init(
    _ signature: ModelSignature, columns: [String], needsPrefix: Bool, ignoreExtra: Bool
  ) throws(InputError) {
    var known: [String: ModelSignature.AnswerColumn] = [:]
    for column in signature.outputColumns + signature.answerColumns { known[column.name] = column }
    var taken: [String: String] = [:]
    for (place, column) in columns.enumerated() {
      let hasPrefix = column.hasPrefix(Self.prefix)
      if needsPrefix, !hasPrefix { continue }
      let name = hasPrefix ? String(column.dropFirst(Self.prefix.count)) : column
      guard let target = known[name] else {
        if ignoreExtra, !hasPrefix { continue }
        let names = signature.answerColumns.prefix(20).map(\.name).joined(separator: ", ")
        throw InputError("column \(ConfigurationError.quoted(column)) is none of the model's outputs: \(names)")
      }
      if let other = taken.updateValue(column, forKey: "\(target.output) \(target.element)") {
        throw InputError("columns \"\(other)\" and \"\(column)\" are the same output")
      }
      items.append(Item(place: place, name: name, output: target.output, element: target.element))
    }
    guard !items.isEmpty else {
      let names = signature.answerColumns.prefix(20).map { Self.prefix + $0.name }.joined(separator: ", ")
      throw InputError("there is no column of expected answers, such as \(names)")
    }
  }

  /// Where the file's expected scores of all of an output's elements stand, by element; nil unless all are there.
  func places(of output: Int, width: Int) -> [Int]? {
    var places = [Int?](repeating: nil, count: width)
    for item in items where item.output == output { places[item.element] = item.place }
    let found = places.compactMap { $0 }
    return found.count == width ? found : nil
  }
}
