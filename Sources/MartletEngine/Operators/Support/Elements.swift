import MartletCore

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A number that arithmetic operators compute with.
///
/// Whole numbers wrap around as two's complement, as they do in ONNX Runtime; nothing traps.
protocol NumericElement: BitwiseCopyable, Comparable, Numeric, Sendable {
  static var isFloatingPoint: Bool { get }
  /// The least and the greatest finite value.
  static var lowest: Self { get }
  static var greatest: Self { get }
  /// What no element is below, and above: infinite where there is infinity.
  static var bottom: Self { get }
  static var top: Self { get }

  static func sum(_ a: Self, _ b: Self) -> Self
  static func difference(_ a: Self, _ b: Self) -> Self
  static func product(_ a: Self, _ b: Self) -> Self
  /// Whole numbers are truncated; by zero they give `a`, so check before.
  static func quotient(_ a: Self, _ b: Self) -> Self
  /// The remainder that has the sign of `a`, C's `fmod`.
  static func truncatedRemainder(_ a: Self, _ b: Self) -> Self
  /// The remainder that has the sign of `b`, Python's `%`.
  static func flooredRemainder(_ a: Self, _ b: Self) -> Self
  static func negated(_ a: Self) -> Self
  static func absolute(_ a: Self) -> Self
  /// -1, 0, 1; not a number stays so.
  static func sign(_ a: Self) -> Self

  /// The number nearest `value` towards zero, as `Cast` converts it.
  init(converting value: Double)
  var asDouble: Double { get }
  var isNotANumber: Bool { get }
}

extension NumericElement where Self: FixedWidthInteger {
  static var isFloatingPoint: Bool { false }
  static var lowest: Self { min }
  static var greatest: Self { max }
  static var bottom: Self { min }
  static var top: Self { max }

  @inline(__always) static func sum(_ a: Self, _ b: Self) -> Self { a &+ b }
  @inline(__always) static func difference(_ a: Self, _ b: Self) -> Self { a &- b }
  @inline(__always) static func product(_ a: Self, _ b: Self) -> Self { a &* b }
  @inline(__always) static func quotient(_ a: Self, _ b: Self) -> Self {
    a.dividedReportingOverflow(by: b).partialValue
  }
  @inline(__always) static func truncatedRemainder(_ a: Self, _ b: Self) -> Self {
    // The least number by -1 overflows the quotient; its remainder is 0.
    let (remainder, overflow) = a.remainderReportingOverflow(dividingBy: b)
    return overflow ? 0 : remainder
  }
  @inline(__always) static func flooredRemainder(_ a: Self, _ b: Self) -> Self {
    let remainder = truncatedRemainder(a, b)
    return remainder != 0 && (remainder < 0) != (b < 0) ? remainder &+ b : remainder
  }
  @inline(__always) static func negated(_ a: Self) -> Self { 0 &- a }
  @inline(__always) static func absolute(_ a: Self) -> Self { a < 0 ? 0 &- a : a }
  @inline(__always) static func sign(_ a: Self) -> Self { a.signum() }
  @inline(__always) var asDouble: Double { Double(self) }
  @inline(__always) var isNotANumber: Bool { false }
}

extension NumericElement where Self: BinaryFloatingPoint {
  static var isFloatingPoint: Bool { true }
  static var lowest: Self { -greatestFiniteMagnitude }
  static var greatest: Self { greatestFiniteMagnitude }
  static var bottom: Self { -infinity }
  static var top: Self { infinity }

  @inline(__always) static func sum(_ a: Self, _ b: Self) -> Self { a + b }
  @inline(__always) static func difference(_ a: Self, _ b: Self) -> Self { a - b }
  @inline(__always) static func product(_ a: Self, _ b: Self) -> Self { a * b }
  @inline(__always) static func quotient(_ a: Self, _ b: Self) -> Self { a / b }
  @inline(__always) static func truncatedRemainder(_ a: Self, _ b: Self) -> Self {
    a.truncatingRemainder(dividingBy: b)
  }
  @inline(__always) static func flooredRemainder(_ a: Self, _ b: Self) -> Self {
    let remainder = a.truncatingRemainder(dividingBy: b)
    if remainder == 0 { return Self(signOf: b, magnitudeOf: 0) }
    return (remainder < 0) != (b < 0) ? remainder + b : remainder
  }
  @inline(__always) static func negated(_ a: Self) -> Self { -a }
  @inline(__always) static func absolute(_ a: Self) -> Self { a.magnitude }
  @inline(__always) static func sign(_ a: Self) -> Self { a > 0 ? 1 : a < 0 ? -1 : a.isNaN ? a : 0 }
  @inline(__always) var asDouble: Double { Double(self) }
  @inline(__always) var isNotANumber: Bool { isNaN }
}

// What a processor of the x86 family answers for values that no whole number equals, which is what ONNX Runtime gives
// there: the least number for 32 and 64 bits, and for other types the low bits of an answer of one of these widths.
extension Int64: NumericElement {
  @inline(__always) init(converting value: Double) {
    self = value >= -0x1p63 && value < 0x1p63 ? Int64(value) : Int64.min
  }
}
extension Int32: NumericElement {
  @inline(__always) init(converting value: Double) {
    self = value > -0x1.00000002p31 && value < 0x1p31 ? Int32(value) : Int32.min
  }
}
extension Int16: NumericElement {
  @inline(__always) init(converting value: Double) { self.init(truncatingIfNeeded: Int32(converting: value)) }
}
extension Int8: NumericElement {
  @inline(__always) init(converting value: Double) { self.init(truncatingIfNeeded: Int32(converting: value)) }
}
extension UInt16: NumericElement {
  @inline(__always) init(converting value: Double) { self.init(truncatingIfNeeded: Int32(converting: value)) }
}
extension UInt8: NumericElement {
  @inline(__always) init(converting value: Double) { self.init(truncatingIfNeeded: Int32(converting: value)) }
}
extension UInt32: NumericElement {
  @inline(__always) init(converting value: Double) { self.init(truncatingIfNeeded: Int64(converting: value)) }
}
extension UInt64: NumericElement {
  @inline(__always) init(converting value: Double) {
    self =
      value >= 0x1p63
      ? UInt64(bitPattern: Int64(converting: value - 0x1p63)) ^ 1 << 63 : UInt64(bitPattern: Int64(converting: value))
  }
}

/// A real number with the functions of the C library.
protocol FloatElement: NumericElement, BinaryFloatingPoint {
  static func exponential(_ x: Self) -> Self
  static func logarithm(_ x: Self) -> Self
  /// log(1 + x) without loss for small `x`.
  static func logarithmOnePlus(_ x: Self) -> Self
  /// exp(x) - 1 without loss for small `x`.
  static func exponentialMinusOne(_ x: Self) -> Self
  static func hyperbolicTangent(_ x: Self) -> Self
  static func errorFunction(_ x: Self) -> Self
  static func power(_ x: Self, _ y: Self) -> Self
  static func sine(_ x: Self) -> Self
  static func cosine(_ x: Self) -> Self
}

extension Float: FloatElement {
  @inline(__always) init(converting value: Double) { self = Float(value) }
  @inline(__always) static func exponential(_ x: Float) -> Float { expf(x) }
  @inline(__always) static func logarithm(_ x: Float) -> Float { logf(x) }
  @inline(__always) static func logarithmOnePlus(_ x: Float) -> Float { log1pf(x) }
  @inline(__always) static func exponentialMinusOne(_ x: Float) -> Float { expm1f(x) }
  @inline(__always) static func hyperbolicTangent(_ x: Float) -> Float { tanhf(x) }
  @inline(__always) static func errorFunction(_ x: Float) -> Float { erff(x) }
  @inline(__always) static func power(_ x: Float, _ y: Float) -> Float { powf(x, y) }
  @inline(__always) static func sine(_ x: Float) -> Float { sinf(x) }
  @inline(__always) static func cosine(_ x: Float) -> Float { cosf(x) }
}

extension Double: FloatElement {
  @inline(__always) init(converting value: Double) { self = value }
  @inline(__always) static func exponential(_ x: Double) -> Double { exp(x) }
  @inline(__always) static func logarithm(_ x: Double) -> Double { log(x) }
  @inline(__always) static func logarithmOnePlus(_ x: Double) -> Double { log1p(x) }
  @inline(__always) static func exponentialMinusOne(_ x: Double) -> Double { expm1(x) }
  @inline(__always) static func hyperbolicTangent(_ x: Double) -> Double { tanh(x) }
  @inline(__always) static func errorFunction(_ x: Double) -> Double { erf(x) }
  @inline(__always) static func power(_ x: Double, _ y: Double) -> Double { pow(x, y) }
  @inline(__always) static func sine(_ x: Double) -> Double { sin(x) }
  @inline(__always) static func cosine(_ x: Double) -> Double { cos(x) }
}

extension ElementType {
  static let numbers: [ElementType] = [
    .uint8, .uint16, .uint32, .uint64, .int8, .int16, .int32, .int64, .float32, .float64,
  ]
  static let floats: [ElementType] = [.float32, .float64]
}
