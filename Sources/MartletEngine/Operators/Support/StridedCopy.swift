import MartletCore

/// Copies elements from one arrangement of dimensions to another: what transposing, slicing, repeating and padding
/// have in common. Elements are moved by their width; their meaning does not matter.
struct StridedCopy {
  /// Repeating every dimension of a tensor needs two for each.
  static let maximumRank = 2 * Shape.maximumRank

  private var rank = 0
  private var sizes = InlineArray<16, Int>(repeating: 1)
  private var sourceStrides = InlineArray<16, Int>(repeating: 0)
  private var targetStrides = InlineArray<16, Int>(repeating: 0)
  private var isEmpty = false

  init() {}

  /// Adds a dimension inside the others. Strides count elements; 0 repeats, negative walks backwards.
  mutating func append(size: Int, source: Int, target: Int) {
    if size == 0 { isEmpty = true }
    guard size != 1 else { return }
    if rank > 0, sourceStrides[rank - 1] == source &* size, targetStrides[rank - 1] == target &* size {
      sizes[rank - 1] &*= size
      sourceStrides[rank - 1] = source
      targetStrides[rank - 1] = target
      return
    }
    sizes[rank] = size
    sourceStrides[rank] = source
    targetStrides[rank] = target
    rank += 1
  }

  /// Copies elements of `width` bytes: 1, 2, 4, 8 or 16.
  ///
  /// Precondition: every element that the dimensions reach lies inside both tensors.
  func run(from source: UnsafeRawPointer, to target: UnsafeMutableRawPointer, width: Int) {
    switch width {
    case 1: run(source, target, of: UInt8.self)
    case 2: run(source, target, of: UInt16.self)
    case 4: run(source, target, of: UInt32.self)
    case 8: run(source, target, of: UInt64.self)
    default: run(source, target, of: TextRef.self)
    }
  }

  private func run<T: BitwiseCopyable>(
    _ source: UnsafeRawPointer, _ target: UnsafeMutableRawPointer, of type: T.Type
  ) {
    guard !isEmpty else { return }
    var from = source.assumingMemoryBound(to: T.self)
    var to = target.assumingMemoryBound(to: T.self)
    guard rank > 0 else {
      to.pointee = from.pointee
      return
    }
    let inner = rank - 1
    let count = sizes[inner]
    let sourceStep = sourceStrides[inner]
    let targetStep = targetStrides[inner]
    var counters = InlineArray<16, Int>(repeating: 0)
    while true {
      if targetStep == 1, sourceStep == 1 {
        to.update(from: from, count: count)
      } else if targetStep == 1, sourceStep == 0 {
        to.update(repeating: from.pointee, count: count)
      } else {
        for i in 0..<count { to[i * targetStep] = from[i * sourceStep] }
      }
      var d = inner - 1
      while d >= 0 {
        counters[d] += 1
        from += sourceStrides[d]
        to += targetStrides[d]
        if counters[d] < sizes[d] { break }
        from -= sourceStrides[d] * sizes[d]
        to -= targetStrides[d] * sizes[d]
        counters[d] = 0
        d -= 1
      }
      if d < 0 { return }
    }
  }
}

extension Shape {
  /// Elements behind each dimension: the strides of a tensor of this shape.
  var strides: InlineArray<8, Int> {
    var strides = InlineArray<8, Int>(repeating: 1)
    var behind = 1
    for index in stride(from: rank - 1, through: 0, by: -1) {
      strides[index] = behind
      behind &*= self[index]
    }
    return strides
  }
}
