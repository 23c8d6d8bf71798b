import MartletCore

/// A short list of whole numbers that steers an operator: axes, a shape, starts. Kept inline, so that reading one from
/// a tensor at run time allocates nothing.
struct IntegerList: Sendable {
  /// Two numbers for each of a tensor's dimensions, as `Pad` takes them.
  static let capacity = 2 * Shape.maximumRank

  private(set) var count = 0
  private var values = InlineArray<16, Int>(repeating: 0)

  init() {}

  subscript(index: Int) -> Int {
    get { values[index] }
    set { values[index] = newValue }
  }

  /// Precondition: fewer than `capacity` numbers are in the list.
  mutating func append(_ value: Int) {
    values[count] = value
    count += 1
  }

  /// Reads the scalar or vector `tensor`, which messages call `name`.
  ///
  /// Errors: INVALID_ARGUMENT when it is neither int32 nor int64, has more dimensions or more elements than fit.
  init(_ tensor: Tensor, name: String) throws(Status) {
    guard tensor.rank <= 1, tensor.count <= IntegerList.capacity else {
      throw Status(.invalidArgument, "\(name) has the shape \(tensor.shape), expected a short vector")
    }
    switch tensor.type {
    case .int64: for i in 0..<tensor.count { append(Int(tensor.pointer(as: Int64.self)[i])) }
    case .int32: for i in 0..<tensor.count { append(Int(tensor.pointer(as: Int32.self)[i])) }
    default: throw Status(.invalidArgument, "\(name) is of type \(tensor.type), expected int32 or int64")
    }
  }

  /// The attribute `name` of `node`, or nil when it is absent.
  init?(_ node: GraphNode, attribute name: String) throws(ModelError) {
    guard let integers = try node.integers(name) else { return nil }
    guard integers.count <= IntegerList.capacity else {
      throw node.error(attribute: name, "has \(integers.count) values, at most \(IntegerList.capacity) are possible")
    }
    for value in integers { append(Int(value)) }
  }
}

/// Whole numbers that older operator sets give as an attribute and newer ones as an input.
struct IntegerSource: Sendable {
  let name: String
  private let attribute: IntegerList?
  private let index: Int?

  /// An attribute, up to version `lastAttribute` of the operator set; input `index` from then on.
  init(_ node: GraphNode, _ name: String, attributeUpTo lastAttribute: Int, input index: Int) throws(ModelError) {
    self.name = name
    if node.opset <= lastAttribute {
      attribute = try IntegerList(node, attribute: name)
      self.index = nil
    } else {
      attribute = nil
      self.index = index
    }
  }

  /// The numbers of this call, nil when the model gives none.
  func read(_ context: RunContext) throws(Status) -> IntegerList? {
    guard let index else { return attribute }
    guard let tensor = context.optionalInput(index) else { return nil }
    return try IntegerList(tensor, name: name)
  }
}

extension Shape {
  /// `axis` counted from the front.
  ///
  /// Errors: INVALID_ARGUMENT when it is not in `-rank..<rank`.
  func checkedAxis(_ axis: Int) throws(Status) -> Int {
    guard let index = self.axis(axis) else {
      throw Status(.invalidArgument, "axis \(axis) is not in -\(rank)..<\(rank), the axes of shape \(self)")
    }
    return index
  }

  /// The axes of `list` as a bit set.
  ///
  /// Errors: INVALID_ARGUMENT when an axis is out of range or named twice.
  func checkedAxes(_ list: IntegerList) throws(Status) -> UInt8 {
    var set: UInt8 = 0
    for i in 0..<list.count {
      let bit = UInt8(1) << UInt8(try checkedAxis(list[i]))
      guard set & bit == 0 else { throw Status(.invalidArgument, "axis \(list[i]) is named twice") }
      set |= bit
    }
    return set
  }

  /// Adds a dimension.
  ///
  /// Errors: INVALID_ARGUMENT when there are already as many as a tensor can have.
  mutating func checkedAppend(_ size: Int) throws(Status) {
    guard rank < Shape.maximumRank else {
      throw Status(.invalidArgument, "the result would have more than \(Shape.maximumRank) dimensions")
    }
    append(size)
  }
}

extension GraphNode {
  /// The integer attribute `axis`, within what a tensor can have.
  func axis(_ attribute: String = "axis", default fallback: Int) throws(ModelError) -> Int {
    let axis = try integer(attribute, default: Int64(fallback))
    guard (-Int64(Shape.maximumRank)...Int64(Shape.maximumRank)).contains(axis) else {
      throw error(attribute: attribute, "is \(axis), a tensor has at most \(Shape.maximumRank) axes")
    }
    return Int(axis)
  }

  /// The attribute `name` as a truth value; it has to be 0 or 1.
  func flag(_ name: String, default fallback: Bool) throws(ModelError) -> Bool {
    let value = try integer(name, default: fallback ? 1 : 0)
    guard value == 0 || value == 1 else { throw error(attribute: name, "is \(value), expected 0 or 1") }
    return value == 1
  }
}
