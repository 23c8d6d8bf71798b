/// How near an answer has to be to the expected one.
public enum VerificationTolerance: Sendable, Equatable {
  /// The same bits.
  case exact
  /// |a − b| ≤ tolerance · max(1, |b|), where b is the expected value; other than numbers with a fraction: the same.
  case within(Double)

  /// What arithmetic in another order may differ by.
  public static let standard = VerificationTolerance.within(1e-6)

  /// Reads `exact` or a number from 0 to 1; 0 is exact. Nil for anything else.
  public init?(_ text: String) {
    if text == "exact" {
      self = .exact
      return
    }
    guard let number = Double(text), (0...1).contains(number) else { return nil }
    self = number == 0 ? .exact : .within(number)
  }
}

extension VerificationTolerance: CustomStringConvertible {
  public var description: String {
    switch self {
    case .exact: "exact"
    case .within(let number): number.description
    }
  }
}

/// What a comparison of a model's answers with expected ones came to.
public struct VerificationReport: Sendable, Equatable {
  /// A value and what was expected in its place. Rows count from 1.
  public struct Difference: Sendable, Equatable {
    public var row: Int
    public var column: String
    public var got: String
    public var expected: String
    /// Absolute or relative, as the property says; infinite where one of the two is not a number.
    public var error: Double

    public init(row: Int, column: String, got: String, expected: String, error: Double) {
      self.row = row
      self.column = column
      self.got = got
      self.expected = expected
      self.error = error
    }
  }

  /// One output of the model, all of its columns that were compared.
  public struct Output: Sendable, Equatable {
    /// `label`, `probability` or `value`; the output's own name where its answer has no such form.
    public var name: String
    /// Values that were compared.
    public var values = 0
    /// Of them those with the same bits; every NaN is the same as every other.
    public var equal = 0
    /// Labels, texts and whole numbers that differ.
    public var different = 0
    /// Of them labels whose two best expected scores are closer than the tolerance, which decides nothing.
    public var undecided = 0
    /// Values beyond the tolerance; the comparison fails when there is one.
    public var beyond = 0
    /// Where |a − b| is largest, and where |a − b| / |b| is, b ≠ 0; nil without a difference.
    public var worstAbsolute: Difference?
    public var worstRelative: Difference?
    public var firstBeyond: Difference?

    public init(name: String) { self.name = name }
  }

  public var rows: Int
  public var tolerance: VerificationTolerance
  public var outputs: [Output]

  public init(rows: Int, tolerance: VerificationTolerance, outputs: [Output]) {
    self.rows = rows
    self.tolerance = tolerance
    self.outputs = outputs
  }

  public var values: Int { outputs.reduce(0) { $0 + $1.values } }
  public var beyond: Int { outputs.reduce(0) { $0 + $1.beyond } }
  public var holds: Bool { beyond == 0 }

  /// What is wrong, in one line; nil when nothing is.
  public var failure: String? {
    guard !holds, let first = outputs.compactMap(\.firstBeyond).min(by: { $0.row < $1.row }) else { return nil }
    return "\(beyond) of \(values) values are not as expected (tolerance \(tolerance)); first row \(first.row), "
      + "\(first.column): \(first.got) came, expected \(first.expected)"
  }
}
