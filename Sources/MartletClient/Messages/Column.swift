/// One named column of a scoring request: a value a row, all of one type.
public struct Column: Sendable, Equatable {
  public enum Values: Sendable, Equatable {
    case doubles([Double])
    case floats([Float])
    case integers([Int64])
    case texts([String])
    case booleans([Bool])

    public var count: Int {
      switch self {
      case .doubles(let values): values.count
      case .floats(let values): values.count
      case .integers(let values): values.count
      case .texts(let values): values.count
      case .booleans(let values): values.count
      }
    }
  }

  public var name: String
  public var values: Values
  /// Which rows have a value, one entry a row; nil when all have. What `values` holds for an absent row is ignored.
  public var present: [Bool]?

  public init(name: String, values: Values, present: [Bool]? = nil) {
    self.name = name
    self.values = values
    self.present = present
  }

  /// The same column for `rows` only.
  func slice(_ rows: Range<Int>) -> Column {
    let part: Values =
      switch values {
      case .doubles(let values): .doubles(Array(values[rows]))
      case .floats(let values): .floats(Array(values[rows]))
      case .integers(let values): .integers(Array(values[rows]))
      case .texts(let values): .texts(Array(values[rows]))
      case .booleans(let values): .booleans(Array(values[rows]))
      }
    return Column(name: name, values: part, present: present.map { Array($0[rows]) })
  }

  /// Upper bound of the bytes that `row` adds to the encoded column.
  func encodedBytes(row: Int) -> Int {
    let value =
      switch values {
      case .doubles: 8
      case .floats: 4
      case .integers(let values): ProtobufWriter.varintSize(UInt64(bitPattern: values[row]))
      case .texts(let values): 1 + ProtobufWriter.varintSize(UInt64(values[row].utf8.count)) + values[row].utf8.count
      case .booleans: 1
      }
    // A bit of the presence mask, counted as a byte.
    return value + (present == nil ? 0 : 1)
  }
}

extension Column: OutgoingMessage {
  public func write(into writer: inout ProtobufWriter) {
    writer.string(1, name)
    switch values {
    case .doubles(let values): writer.packed(2, values)
    case .floats(let values): writer.packed(3, values)
    case .integers(let values): writer.packed(4, values)
    case .texts(let values): for value in values { writer.text(5, value) }
    case .booleans(let values): writer.packed(6, values)
    }
    if let present {
      var mask = [UInt8](repeating: 0, count: (present.count + 7) / 8)
      for (row, isPresent) in present.enumerated() where isPresent { mask[row / 8] |= 1 << UInt8(row % 8) }
      writer.bytes(7, mask)
    }
  }
}
