import ArgumentParser

/// How results are written to standard output.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable, Sendable {
  /// For people: aligned columns.
  case table
  /// One JSON value, or one object a line for rows.
  case json
  /// RFC 4180 with a header.
  case csv
}
