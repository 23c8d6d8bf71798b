/// Rows for one model, by named columns (martlet.v1.Scoring/Score).
public struct ScoreRequest: Sendable, Equatable {
  public var model: String
  /// Empty: the version that serves.
  public var version: String
  /// How many rows; every column has as many values.
  public var rows: Int
  /// In any order.
  public var columns: [Column]
  /// Whether columns that the model does not have are passed over; otherwise they are an error.
  public var ignoreExtraColumns: Bool
  /// 1 is the highest; 0 takes the server's default.
  public var priority: Int

  /// A request of `rows` rows; without `rows`, as many as the first column has values.
  public init(
    model: String, version: String = "", rows: Int? = nil, columns: [Column], ignoreExtraColumns: Bool = false,
    priority: Int = 0
  ) {
    self.model = model
    self.version = version
    self.rows = rows ?? columns.first?.values.count ?? 0
    self.columns = columns
    self.ignoreExtraColumns = ignoreExtraColumns
    self.priority = priority
  }

  /// What is wrong with the request before anybody sees it: a column of another length than `rows`, or no rows.
  public func validate() throws(MessageError) {
    guard rows > 0, rows <= Int(UInt32.max) else {
      throw MessageError("rows is \(rows), expected 1 or more")
    }
    guard priority >= 0, priority <= Int(UInt32.max) else {
      throw MessageError("priority is \(priority), expected 0 or more")
    }
    for column in columns {
      guard column.values.count == rows else {
        throw MessageError("column \"\(column.name)\" has \(column.values.count) values, expected \(rows)")
      }
      guard column.present == nil || column.present?.count == rows else {
        throw MessageError(
          "column \"\(column.name)\" says of \(column.present?.count ?? 0) rows whether they are present, "
            + "expected \(rows)")
      }
    }
  }

  /// The same request for `rows` only.
  public func slice(_ rows: Range<Int>) -> ScoreRequest {
    var part = self
    part.rows = rows.count
    part.columns = columns.map { $0.slice(rows) }
    return part
  }

  /// Cuts the request by rows, in order, into parts of at most `maximumBytes` encoded and `maximumRows` rows; the
  /// request itself where it is small enough.
  ///
  /// Fails when a single row does not fit.
  public func parts(maximumBytes: Int, maximumRows: Int) throws(MessageError) -> [ScoreRequest] {
    // What does not depend on rows: names, tags and lengths.
    let overhead = 64 + model.utf8.count + version.utf8.count + columns.reduce(0) { $0 + 48 + $1.name.utf8.count }
    var parts: [ScoreRequest] = []
    var start = 0
    var size = overhead
    for row in 0..<rows {
      let bytes = columns.reduce(0) { $0 + $1.encodedBytes(row: row) }
      guard overhead + bytes <= maximumBytes else {
        throw MessageError(
          "row \(row + 1) takes \(bytes) bytes, at most \(max(0, maximumBytes - overhead)) fit into a call")
      }
      if size + bytes > maximumBytes || row - start == maximumRows {
        parts.append(slice(start..<row))
        start = row
        size = overhead
      }
      size += bytes
    }
    parts.append(start == 0 ? self : slice(start..<rows))
    return parts
  }
}

extension ScoreRequest: OutgoingMessage {
  public func write(into writer: inout ProtobufWriter) {
    writer.string(1, model)
    writer.string(2, version)
    writer.unsigned(3, UInt64(rows))
    for column in columns { writer.message(4) { column.write(into: &$0) } }
    writer.bool(5, ignoreExtraColumns)
    writer.unsigned(6, UInt64(priority))
  }
}
