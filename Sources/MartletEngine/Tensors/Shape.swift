/// Dimensions of a tensor, at most eight, kept inline so that making one never allocates.
@frozen
public struct Shape: Equatable, Sendable {
  /// The most dimensions that a tensor of this engine has.
  public static let maximumRank = 8
  /// The largest size of a dimension, so that sums of sizes never overflow, also beside a dimension of size 0.
  public static let maximumSize = 1 << 40

  @usableFromInline var sizes: InlineArray<8, Int>
  public private(set) var rank: Int

  /// No dimensions: a scalar.
  public init() {
    sizes = InlineArray(repeating: 1)
    rank = 0
  }

  public init(_ d0: Int) {
    self.init()
    append(d0)
  }

  public init(_ d0: Int, _ d1: Int) {
    self.init()
    append(d0)
    append(d1)
  }

  public init(_ d0: Int, _ d1: Int, _ d2: Int) {
    self.init(d0, d1)
    append(d2)
  }

  /// Precondition: at most `maximumRank` dimensions.
  public init(_ dimensions: [Int]) {
    self.init()
    for dimension in dimensions { append(dimension) }
  }

  /// The size of dimension `index`, which is in `0..<rank`.
  @inlinable
  public subscript(index: Int) -> Int {
    get { sizes[index] }
    set { sizes[index] = newValue }
  }

  /// Adds a dimension behind the others; there are fewer than `maximumRank`.
  public mutating func append(_ size: Int) {
    precondition(rank < Shape.maximumRank, "a tensor has at most eight dimensions")
    sizes[rank] = size
    rank += 1
  }

  public mutating func insert(_ size: Int, at index: Int) {
    precondition(rank < Shape.maximumRank && index <= rank)
    var i = rank
    while i > index {
      sizes[i] = sizes[i - 1]
      i -= 1
    }
    sizes[index] = size
    rank += 1
  }

  public mutating func remove(at index: Int) {
    precondition(index < rank)
    for i in index..<(rank - 1) { sizes[i] = sizes[i + 1] }
    rank -= 1
    sizes[rank] = 1
  }

  /// Elements of the dimensions in `range`; 1 when it is empty.
  public func product(_ range: Range<Int>) -> Int {
    var product = 1
    for i in range { product &*= sizes[i] }
    return product
  }

  /// Elements of a tensor of this shape.
  public var elements: Int { product(0..<rank) }

  /// Elements of a tensor of this shape; nil when a size is negative or the product overflows.
  public var checkedElements: Int? {
    var product = 1
    for i in 0..<rank {
      let (next, overflow) = product.multipliedReportingOverflow(by: sizes[i])
      if overflow || sizes[i] < 0 || sizes[i] > Shape.maximumSize { return nil }
      product = next
    }
    return product
  }

  /// The last dimension; 1 for a scalar.
  public var last: Int { rank == 0 ? 1 : sizes[rank - 1] }

  public var dimensions: [Int] { (0..<rank).map { sizes[$0] } }

  /// `axis` counted from the front, or nil when it is not in `-rank..<rank`.
  public func axis(_ axis: Int) -> Int? {
    let index = axis < 0 ? axis &+ rank : axis
    return index >= 0 && index < rank ? index : nil
  }

  public static func == (a: Shape, b: Shape) -> Bool {
    guard a.rank == b.rank else { return false }
    for i in 0..<a.rank where a.sizes[i] != b.sizes[i] { return false }
    return true
  }
}

extension Shape: CustomStringConvertible {
  /// `[3, 85]`, as messages show it.
  public var description: String { "[" + dimensions.map(String.init).joined(separator: ", ") + "]" }
}
