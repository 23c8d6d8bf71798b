import Glibc
import MartletClient

/// Draws rows that a model takes from its own description; the seed decides all of them.
///
/// Columns with known categories draw from those. Other numbers are standard normal, integers 0 to 99, texts one of ten
/// made-up ones, booleans even; where a value may be missing, one in twenty is. Such rows exercise the whole path with
/// the right shapes, but a model's time can depend on the values: prefer rows of your own.
public struct RowGenerator: Sendable {
  private static let missingShare = 0.05

  private let description: DescribeResponse
  private var generator: SeededGenerator

  public init(_ description: DescribeResponse, seed: UInt64) {
    self.description = description
    generator = SeededGenerator(seed: seed)
  }

  /// The next `rows` rows, all columns of the model.
  public mutating func request(rows: Int) -> ScoreRequest {
    let columns = description.columns.map { column in
      let present = column.missingAllowed ? (0..<rows).map { _ in generator.unit() >= Self.missingShare } : nil
      // A mask that says nothing is left out, as a client would.
      return Column(
        name: column.name, values: values(of: column, rows), present: present?.contains(false) == true ? present : nil)
    }
    return ScoreRequest(model: description.model, version: description.version, rows: rows, columns: columns)
  }

  private mutating func values(of column: ColumnDescription, _ rows: Int) -> Column.Values {
    switch column.categories {
    case .text(let texts) where !texts.isEmpty && column.type == .text:
      return .texts((0..<rows).map { _ in texts[generator.index(below: texts.count)] })
    case .integer(let integers) where !integers.isEmpty && column.type != .text && column.type != .boolean:
      let drawn = (0..<rows).map { _ in integers[generator.index(below: integers.count)] }
      switch column.type {
      case .double: return .doubles(drawn.map { Double($0) })
      case .float: return .floats(drawn.map { Float($0) })
      default: return .integers(drawn)
      }
    default: break
    }
    switch column.type {
    case .text: return .texts((0..<rows).map { _ in "text-\(generator.index(below: 10))" })
    case .integer: return .integers((0..<rows).map { _ in Int64(generator.index(below: 100)) })
    case .boolean: return .booleans((0..<rows).map { _ in generator.next() & 1 == 1 })
    case .float: return .floats((0..<rows).map { _ in Float(normal()) })
    // A type that this version does not know: a double is what most others can be converted from.
    case .double, .unspecified: return .doubles((0..<rows).map { _ in normal() })
    }
  }

  /// Standard normal, by the method of Box and Muller.
  private mutating func normal() -> Double {
    let radius = sqrt(-2 * log(1 - generator.unit()))
    return radius * cos(2 * .pi * generator.unit())
  }
}
