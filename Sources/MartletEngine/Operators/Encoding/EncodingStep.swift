import MartletCore

/// The rows of features as a tensor, for models that read all of them.
final class EncodingStep: AnyOperator, TextLookup, @unchecked Sendable {
  // `@unchecked Sendable`: as the base class says.
  // One of the two: methods of a generic class would not be compiled for each precision.
  private let single: RowEncoder<Float>?
  private let double: RowEncoder<Double>?
  /// Dimensions of a row behind one for the rows.
  private let shape: Shape

  init(_ encoder: RowEncoder<Float>, _ shape: Shape) {
    single = encoder
    double = nil
    self.shape = shape
  }

  init(_ encoder: RowEncoder<Double>, _ shape: Shape) {
    single = nil
    double = encoder
    self.shape = shape
  }

  /// Bytes of a row that it makes.
  var rowBytes: Int { single.map { $0.width * 4 } ?? double.map { $0.width * 8 } ?? 0 }

  /// What a plan's description says of it.
  var summary: String { single?.summary ?? double?.summary ?? "" }

  var lookups: [TextLookupColumn] { single?.lookups ?? double?.lookups ?? [] }

  override func run(_ context: RunContext) throws(Status) {
    let rows = context.input(0).dim(0)
    var shape = shape
    shape[0] = rows
    if let single {
      let output = try context.output(0, .float32, shape)
      try single.encode(context, rows: 0..<rows, to: output.floats)
    } else if let double {
      let output = try context.output(0, .float64, shape)
      try double.encode(context, rows: 0..<rows, to: output.doubles)
    }
  }
}
