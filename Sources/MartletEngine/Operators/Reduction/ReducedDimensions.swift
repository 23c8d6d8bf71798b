import MartletCore

/// How a reduction walks a tensor: over the dimensions that stay, and for each over those that are reduced.
struct ReducedDimensions {
  /// Shape of the result.
  private(set) var result = Shape()
  /// Elements that become one.
  private(set) var reducedCount = 1
  private var kept = Walk()
  private var reduced = Walk()

  /// Merged dimensions, outermost first.
  private struct Walk {
    var rank = 0
    var sizes = InlineArray<8, Int>(repeating: 1)
    var strides = InlineArray<8, Int>(repeating: 0)

    mutating func append(_ size: Int, _ stride: Int) {
      guard size != 1 else { return }
      if rank > 0, strides[rank - 1] == stride &* size {
        sizes[rank - 1] &*= size
        strides[rank - 1] = stride
        return
      }
      sizes[rank] = size
      strides[rank] = stride
      rank += 1
    }
  }

  /// Reduces the dimensions of the bit set `axes`, keeping them with size 1 when `keeps`.
  init(_ shape: Shape, axes: UInt8, keeps: Bool) {
    let strides = shape.strides
    for i in 0..<shape.rank {
      if axes & (1 << UInt8(i)) != 0 {
        reduced.append(shape[i], strides[i])
        reducedCount &*= shape[i]
        if keeps { result.append(1) }
      } else {
        kept.append(shape[i], strides[i])
        result.append(shape[i])
      }
    }
  }

  /// Calls `body` with the elements that become result `index`, for every result.
  @inline(__always)
  func forEachResult<T>(_ from: UnsafePointer<T>, _ body: (_ index: Int, _ elements: ReducedElements<T>) -> Void) {
    let count = result.elements
    guard count > 0 else { return }
    var counters = InlineArray<8, Int>(repeating: 0)
    var start = from
    let inner = reduced.rank - 1
    for index in 0..<count {
      body(
        index,
        ReducedElements(
          start: start, count: reducedCount, run: inner < 0 ? 1 : reduced.sizes[inner],
          step: inner < 0 ? 1 : reduced.strides[inner], outer: inner, sizes: reduced.sizes, strides: reduced.strides))
      var d = kept.rank - 1
      while d >= 0 {
        counters[d] += 1
        start += kept.strides[d]
        if counters[d] < kept.sizes[d] { break }
        start -= kept.strides[d] * kept.sizes[d]
        counters[d] = 0
        d -= 1
      }
    }
  }
}

/// The elements of a tensor that become one, in row-major order.
struct ReducedElements<T> {
  let start: UnsafePointer<T>
  let count: Int
  /// Elements of the innermost dimension, and how far they lie apart.
  fileprivate let run: Int
  fileprivate let step: Int
  /// Dimensions around the innermost one.
  fileprivate let outer: Int
  fileprivate let sizes: InlineArray<8, Int>
  fileprivate let strides: InlineArray<8, Int>

  /// Calls `body` with every element.
  @inline(__always)
  func visit(_ body: (T) -> Void) {
    guard count > 0 else { return }
    guard outer > 0 else {
      for i in 0..<run { body(start[i * step]) }
      return
    }
    var counters = InlineArray<8, Int>(repeating: 0)
    var from = start
    while true {
      for i in 0..<run { body(from[i * step]) }
      var d = outer - 1
      while d >= 0 {
        counters[d] += 1
        from += strides[d]
        if counters[d] < sizes[d] { break }
        from -= strides[d] * sizes[d]
        counters[d] = 0
        d -= 1
      }
      if d < 0 { return }
    }
  }
}
