import CKernels
import MartletCore

/// One operation that a number goes through on its way into a row, with constants in the number's own precision: the
/// same operations in the same order as the operators that it stands for.
struct NumberStage: Hashable {
  enum Kind: UInt8, Hashable {
    /// NaN becomes `a`.
    case replaceMissing
    /// What equals `b` becomes `a`.
    case replaceEqual
    /// (x - a) * b.
    case scale
    case add
    case subtract
    case subtractFrom
    case multiply
    case divide
    case divideInto
    /// At least `a`, at most `b`.
    case clip

    /// What kernels call it.
    var kernel: martlet_stage_kind {
      switch self {
      case .replaceMissing: MARTLET_STAGE_REPLACE_MISSING
      case .replaceEqual: MARTLET_STAGE_REPLACE_EQUAL
      case .scale: MARTLET_STAGE_SCALE
      case .add: MARTLET_STAGE_ADD
      case .subtract: MARTLET_STAGE_SUBTRACT
      case .subtractFrom: MARTLET_STAGE_SUBTRACT_FROM
      case .multiply: MARTLET_STAGE_MULTIPLY
      case .divide: MARTLET_STAGE_DIVIDE
      case .divideInto: MARTLET_STAGE_DIVIDE_INTO
      case .clip: MARTLET_STAGE_CLIP
      }
    }
  }

  var kind: Kind
  /// Bits of constants, so that -0 and NaN are told apart.
  var a: UInt64
  var b: UInt64

  init<T: FloatElement>(_ kind: Kind, _ a: T, _ b: T = 0) {
    self.kind = kind
    self.a = Self.bits(a)
    self.b = Self.bits(b)
  }

  private static func bits<T: FloatElement>(_ value: T) -> UInt64 {
    if let value = value as? Float { return UInt64(value.bitPattern) }
    return (value as? Double)?.bitPattern ?? 0
  }

  static func value<T: FloatElement>(_ bits: UInt64, as type: T.Type) -> T {
    let value: any FloatElement =
      type == Float.self ? Float(bitPattern: UInt32(truncatingIfNeeded: bits)) : Double(bitPattern: bits)
    return (value as? T) ?? 0
  }

  /// Applies an operation to `count` numbers in place. The constants are those at the same place (`step` 1), or one pair
  /// for all (`step` 0).
  @inline(__always)
  static func apply<T: FloatElement>(
    _ kind: Kind, _ x: UnsafeMutablePointer<T>, _ count: Int, _ a: UnsafePointer<T>, _ b: UnsafePointer<T>, step: Int
  ) {
    switch kind {
    case .replaceMissing: map(x, count, a, b, step) { x, a, _ in x.isNaN ? a : x }
    case .replaceEqual: map(x, count, a, b, step) { x, a, b in x == b ? a : x }
    case .scale: map(x, count, a, b, step) { x, a, b in (x - a) * b }
    case .add: map(x, count, a, b, step) { x, a, _ in x + a }
    case .subtract: map(x, count, a, b, step) { x, a, _ in x - a }
    case .subtractFrom: map(x, count, a, b, step) { x, a, _ in a - x }
    case .multiply: map(x, count, a, b, step) { x, a, _ in x * a }
    case .divide: map(x, count, a, b, step) { x, a, _ in x / a }
    case .divideInto: map(x, count, a, b, step) { x, a, _ in a / x }
    case .clip:
      map(x, count, a, b, step) { x, a, b in
        let raised = x < a ? a : x
        return raised > b ? b : raised
      }
    }
  }

  @inline(__always)
  private static func map<T: FloatElement>(
    _ x: UnsafeMutablePointer<T>, _ count: Int, _ a: UnsafePointer<T>, _ b: UnsafePointer<T>, _ step: Int,
    _ function: (T, T, T) -> T
  ) {
    if step == 0 {
      let (first, second) = (a[0], b[0])
      for index in 0..<count { x[index] = function(x[index], first, second) }
    } else {
      for index in 0..<count { x[index] = function(x[index], a[index], b[index]) }
    }
  }
}
