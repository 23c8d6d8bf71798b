import MartletCore

/// Gathers the values of one of a model's columns, cell by cell, in the type that the model takes.
struct ColumnBuilder: Sendable {
  /// Why a cell has no place in the column.
  struct Mismatch: Error, Sendable, Equatable {
    var message: String
  }

  let description: ColumnDescription
  private let missing: [[UInt8]]
  private(set) var count = 0
  private var present: [Bool] = []
  private var absentCount = 0
  // One of these is in use, as the type says.
  private var doubles: [Double] = []
  private var floats: [Float] = []
  private var integers: [Int64] = []
  private var texts: [String] = []
  private var booleans: [Bool] = []

  /// - Parameter missing: texts of a CSV's fields that mean that there is no value.
  init(_ description: ColumnDescription, missing: [[UInt8]]) {
    self.description = description
    self.missing = missing
  }

  /// Adds a row's cell.
  mutating func append(_ cell: InputRow.Cell, of row: InputRow) throws(Mismatch) {
    let text = row.bytes.span.extracting(cell.range)
    let isMissing =
      switch cell.kind {
      case .absent, .null: true
      case .field: isMissing(text)
      default: false
      }
    if isMissing {
      guard description.missingAllowed else {
        let what = cell.kind == .absent ? "it is absent" : "there is no value"
        throw Mismatch(message: "\(what), and the model needs one (\(description.type.name))")
      }
      appendMissing()
    } else {
      try append(text, cell.kind)
      present.append(true)
    }
    count += 1
  }

  /// Takes back everything behind the first `rows` rows.
  mutating func truncate(to rows: Int) {
    guard count > rows else { return }
    for isPresent in present[rows...] where !isPresent { absentCount -= 1 }
    let surplus = count - rows
    present.removeLast(surplus)
    switch description.type {
    case .double: doubles.removeLast(surplus)
    case .float: floats.removeLast(surplus)
    case .integer: integers.removeLast(surplus)
    case .text, .unspecified: texts.removeLast(surplus)
    case .boolean: booleans.removeLast(surplus)
    }
    count = rows
  }

  /// The column of what was added, which is then gone.
  mutating func take() -> Column {
    defer { reset() }
    let values: Column.Values =
      switch description.type {
      case .double: .doubles(doubles)
      case .float: .floats(floats)
      case .integer: .integers(integers)
      case .text, .unspecified: .texts(texts)
      case .boolean: .booleans(booleans)
      }
    return Column(name: description.name, values: values, present: absentCount == 0 ? nil : present)
  }

  /// New arrays rather than emptied ones: the old ones are the column's now.
  private mutating func reset() {
    let capacity = count
    count = 0
    absentCount = 0
    present = []
    present.reserveCapacity(capacity)
    doubles = []
    floats = []
    integers = []
    texts = []
    booleans = []
    switch description.type {
    case .double: doubles.reserveCapacity(capacity)
    case .float: floats.reserveCapacity(capacity)
    case .integer: integers.reserveCapacity(capacity)
    case .text, .unspecified: texts.reserveCapacity(capacity)
    case .boolean: booleans.reserveCapacity(capacity)
    }
  }

  private mutating func appendMissing() {
    absentCount += 1
    present.append(false)
    switch description.type {
    case .double: doubles.append(.nan)
    case .float: floats.append(.nan)
    case .integer: integers.append(0)
    case .text, .unspecified: texts.append("")
    case .boolean: booleans.append(false)
    }
  }

  private func isMissing(_ text: Span<UInt8>) -> Bool {
    for index in missing.indices where missing[index].count == text.count {
      if text.indices.allSatisfy({ text[$0] == missing[index][$0] }) { return true }
    }
    return false
  }

  private mutating func append(_ text: Span<UInt8>, _ kind: InputRow.Cell.Kind) throws(Mismatch) {
    // JSON says what a value is; a CSV's field is what its column is.
    let isNumber = kind == .field || kind == .number
    switch description.type {
    case .double:
      guard isNumber, let value = NumberText.double(text) else { throw mismatch(text, kind, "a number") }
      doubles.append(value)
    case .float:
      // By way of double, as the libraries that train on tables do: they read doubles and narrow them.
      guard isNumber, let value = NumberText.double(text) else { throw mismatch(text, kind, "a number") }
      floats.append(Float(value))
    case .integer:
      guard isNumber, let value = NumberText.integer(text) else { throw mismatch(text, kind, "a whole number") }
      integers.append(value)
    case .text, .unspecified:
      guard kind == .field || kind == .string else { throw mismatch(text, kind, "text") }
      guard let value = text.withUnsafeBufferPointer({ String(validating: $0, as: UTF8.self) }) else {
        throw Mismatch(message: "text that is not UTF-8 came")
      }
      texts.append(value)
    case .boolean:
      guard kind == .field || kind == .boolean, let value = NumberText.boolean(text) else {
        throw mismatch(text, kind, "true or false")
      }
      booleans.append(value)
    }
  }

  private func mismatch(_ text: Span<UInt8>, _ kind: InputRow.Cell.Kind, _ expected: String) -> Mismatch {
    let head = text.extracting(first: 60).withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
    let shown = head + (text.count > 60 ? "…" : "")
    let came =
      switch kind {
      case .string: "the text \"\(shown)\""
      case .nested: "the nested value \(shown)"
      case .number: "the number \(shown)"
      case .boolean: "\(shown)"
      default: "\"\(shown)\""
      }
    return Mismatch(message: "\(came) came, expected \(expected)")
  }
}
