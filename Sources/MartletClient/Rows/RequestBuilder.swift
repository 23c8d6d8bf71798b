import MartletCore

/// Makes scoring requests of rows, by a model's description.
public struct RequestBuilder: Sendable {
  private let model: DescribeResponse
  private let version: String
  private let passedOver: Set<String>
  private let ignoreExtra: Bool
  private let priority: Int
  private var builders: [ColumnBuilder]
  /// For each of the model's columns its place among the reader's, or nil.
  private var places: [Int?]
  /// Reader's columns that have been looked at.
  private var known = 0
  /// Reader's columns that are no feature and may not be passed over.
  private var extras: [Int] = []
  public private(set) var rows = 0

  /// - Parameters:
  ///   - version: the version to ask for; empty: the one that serves.
  ///   - missing: texts of a CSV's fields that mean that there is no value.
  ///   - passedOver: columns that may be there without being a feature.
  ///   - ignoreExtra: whether any other column may be.
  ///   - priority: of the calls; 0 takes the server's default.
  public init(
    _ model: DescribeResponse, version: String = "", missing: [String] = [""], passedOver: Set<String> = [],
    ignoreExtra: Bool = false, priority: Int = 0
  ) {
    self.model = model
    self.version = version
    self.passedOver = passedOver
    self.ignoreExtra = ignoreExtra
    self.priority = priority
    let missing = missing.map { Array($0.utf8) }
    builders = model.columns.map { ColumnBuilder($0, missing: missing) }
    places = Array(repeating: nil, count: builders.count)
  }

  /// Checks the columns of an input whose columns are fixed, before any row is read.
  public mutating func check(columns: [String]) throws(InputError) {
    look(at: columns)
    if let extra = extras.first {
      throw InputError(
        "column \"\(columns[extra])\" is no feature of model \"\(model.model)\""
          + (extras.count > 1 ? ", nor are \(extras.count - 1) others" : ""))
    }
    guard places.contains(where: { $0 != nil }) else {
      throw InputError("no column of the input is a feature of model \"\(model.model)\"")
    }
    let absent = zip(model.columns, places).filter { $0.1 == nil && !$0.0.missingAllowed }.map { "\"\($0.0.name)\"" }
    guard absent.isEmpty else {
      let rest = absent.count > 10 ? " and \(absent.count - 10) more" : ""
      throw InputError(
        "the input lacks columns that model \"\(model.model)\" needs: "
          + absent.prefix(10).joined(separator: ", ") + rest)
    }
  }

  /// Adds a row; on an error nothing of it is added.
  public mutating func append(_ row: InputRow, columns: [String]) throws(RowProblem) {
    if columns.count > known { look(at: columns) }
    for extra in extras where row.cells[extra].kind != .absent {
      throw RowProblem(
        row: row.number, line: row.line, column: columns[extra], message: "it is no feature of the model")
    }
    // Said here, since a request would be refused or not by what other rows happen to be in it.
    guard places.contains(where: { place in place.map { row.cells[$0].kind != .absent } ?? false }) else {
      throw RowProblem(row: row.number, line: row.line, message: "it has no column of the model")
    }
    for index in builders.indices {
      let cell = places[index].map { row.cells[$0] } ?? .absent
      do throws(ColumnBuilder.Mismatch) {
        try builders[index].append(cell, of: row)
      } catch {
        for added in builders.indices { builders[added].truncate(to: rows) }
        throw RowProblem(
          row: row.number, line: row.line, column: model.columns[index].name, message: error.message)
      }
    }
    rows += 1
  }

  /// The request of the rows that were added, which are then gone.
  public mutating func take() -> ScoreRequest {
    var columns: [Column] = []
    for index in builders.indices {
      let column = builders[index].take()
      // A column that the input does not have at all is left to the model's rule for missing ones.
      if places[index] != nil { columns.append(column) }
    }
    defer { rows = 0 }
    return ScoreRequest(model: model.model, version: version, rows: rows, columns: columns, priority: priority)
  }

  private mutating func look(at columns: [String]) {
    for index in known..<columns.count {
      if let feature = model.columns.firstIndex(where: { $0.name == columns[index] }) {
        places[feature] = index
      } else if !ignoreExtra, !passedOver.contains(columns[index]) {
        extras.append(index)
      }
    }
    known = columns.count
  }
}
