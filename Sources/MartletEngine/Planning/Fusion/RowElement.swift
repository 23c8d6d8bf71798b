import MartletCore

/// What one element of a row of a value is made of, as far as it is made of one element of another value.
enum RowElement: Hashable {
  /// A function of a text or category that is only ever looked up: index of a `CodeSource`.
  case code(Int)
  /// A number behind a few operations: index of a `NumberTerm`.
  case number(Int)
}

/// An element of a row whose values are looked up by keys, a number after the operations that it has gone through.
struct CodeSource: Hashable {
  enum Kind: Hashable {
    case texts
    case integers
    case reals
    /// A real number that is only compared: what matters is between which of the numbers it is.
    case intervals
  }

  var term: NumberTerm
  var kind: Kind
}

/// A number of a row and the operations that it has gone through.
struct NumberTerm: Hashable {
  var slot: Int
  var element: Int
  /// The type of the element.
  var source: ElementType
  /// The type of the result, in whose precision the operations are.
  var type: ElementType
  var stages: [NumberStage]

  /// Whether this is the element itself.
  var isUnchanged: Bool { stages.isEmpty && source == type }

  func appending<T: FloatElement>(_ kind: NumberStage.Kind, _ a: T, _ b: T = 0) -> NumberTerm {
    var term = self
    term.stages.append(NumberStage(kind, a, b))
    return term
  }
}
