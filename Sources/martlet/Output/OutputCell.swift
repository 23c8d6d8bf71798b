/// A value of one row and column of the output.
enum OutputCell: Sendable, Equatable {
  case missing
  case text(String)
  case integer(Int64)
  case float(Float)
  case double(Double)
  case boolean(Bool)
  /// A JSON value as it came in.
  case json(String)

  /// The value as plain text: numbers in the fewest digits that read back as the same bits.
  var plain: String {
    switch self {
    case .missing: ""
    case .text(let text), .json(let text): text
    case .integer(let value): String(value)
    case .float(let value): value.description
    case .double(let value): value.description
    case .boolean(let value): value ? "true" : "false"
    }
  }

  /// The value as JSON, which has no word for numbers that are not finite.
  var json: String {
    switch self {
    case .missing: "null"
    case .text(let text): JSONText.string(text)
    case .float(let value) where !value.isFinite: "null"
    case .double(let value) where !value.isFinite: "null"
    default: plain
    }
  }

  var isNumber: Bool {
    switch self {
    case .integer, .float, .double: true
    default: false
    }
  }
}
