import MartletCore

/// How up to three operands of different shapes meet in one result: dimensions are aligned from the last, and a
/// dimension of size 1 is repeated.
///
/// Dimensions that every operand walks alike are merged, so that most operators see one run or one run a row. Inside a
/// run an operand advances by 0 or 1 elements.
/// Source: ONNX, `docs/Broadcasting.md`, multidirectional broadcasting.
struct Broadcast {
  /// Element offsets or strides of the three operands.
  struct Offsets {
    var a = 0
    var b = 0
    var c = 0
  }

  /// Shape of the result.
  private(set) var shape = Shape()
  /// Merged dimensions without those of size 1, outermost first.
  private var rank = 0
  private var sizes = InlineArray<8, Int>(repeating: 1)
  private var strides = InlineArray<8, Offsets>(repeating: Offsets())

  /// Errors: INVALID_ARGUMENT when two sizes of a dimension differ and neither is 1.
  init(_ a: Shape, _ b: Shape, _ c: Shape = Shape()) throws(Status) {
    if c.rank == 0, a == b || b.rank == 0 {
      // The most frequent cases: one run without a look at the dimensions.
      shape = a
      let elements = a.elements
      guard elements > 1 else { return }
      sizes[0] = elements
      strides[0] = Offsets(a: 1, b: b.rank == 0 ? 0 : 1, c: 0)
      rank = 1
      return
    }
    let common = max(a.rank, b.rank, c.rank)
    for index in 0..<common {
      var size = 1
      for operand in 0..<3 {
        let other = Broadcast.size(operand == 0 ? a : operand == 1 ? b : c, index, of: common)
        guard size == 1 || other == 1 || size == other else {
          throw Status(
            .invalidArgument, "shapes \(a), \(b)\(c.rank == 0 ? "" : ", \(c)") cannot be broadcast together")
        }
        if other != 1 { size = other }
      }
      shape.append(size)
    }
    merge(a, b, c)
  }

  /// Size of dimension `index` of `common` dimensions in `shape`, which may have fewer.
  private static func size(_ shape: Shape, _ index: Int, of common: Int) -> Int {
    let own = index - (common - shape.rank)
    return own < 0 ? 1 : shape[own]
  }

  private mutating func merge(_ a: Shape, _ b: Shape, _ c: Shape) {
    let common = shape.rank
    // Elements behind the dimension, for each operand; wraps only where `output` refuses the result's size.
    var behind = InlineArray<8, Offsets>(repeating: Offsets())
    var next = Offsets(a: 1, b: 1, c: 1)
    for index in stride(from: common - 1, through: 0, by: -1) {
      let sizeA = Broadcast.size(a, index, of: common)
      let sizeB = Broadcast.size(b, index, of: common)
      let sizeC = Broadcast.size(c, index, of: common)
      behind[index] = Offsets(a: sizeA == 1 ? 0 : next.a, b: sizeB == 1 ? 0 : next.b, c: sizeC == 1 ? 0 : next.c)
      next = Offsets(a: next.a &* sizeA, b: next.b &* sizeB, c: next.c &* sizeC)
    }
    for index in 0..<common where shape[index] != 1 {
      let size = shape[index]
      let own = behind[index]
      if rank > 0 {
        let outer = strides[rank - 1]
        if outer.a == own.a &* size, outer.b == own.b &* size, outer.c == own.c &* size {
          sizes[rank - 1] &*= size
          strides[rank - 1] = own
          continue
        }
      }
      sizes[rank] = size
      strides[rank] = own
      rank += 1
    }
  }

  /// How far each operand advances from one element of a run to the next: 0 or 1.
  var step: Offsets { rank == 0 ? Offsets(a: 1, b: 1, c: 1) : strides[rank - 1] }

  /// Calls `body` for every run of the result with its number of elements, its first element and the operands' first
  /// elements.
  @inline(__always)
  func forEachRun(_ body: (_ count: Int, _ result: Int, _ operands: Offsets) -> Void) {
    guard shape.elements > 0 else { return }
    guard rank > 0 else { return body(1, 0, Offsets()) }
    let inner = rank - 1
    let count = sizes[inner]
    var counters = InlineArray<8, Int>(repeating: 0)
    var operands = Offsets()
    var result = 0
    while true {
      body(count, result, operands)
      result += count
      var d = inner - 1
      while d >= 0 {
        let stride = strides[d]
        counters[d] += 1
        operands.a += stride.a
        operands.b += stride.b
        operands.c += stride.c
        if counters[d] < sizes[d] { break }
        operands.a -= stride.a * sizes[d]
        operands.b -= stride.b * sizes[d]
        operands.c -= stride.c * sizes[d]
        counters[d] = 0
        d -= 1
      }
      if d < 0 { return }
    }
  }

  /// Writes `function` of every pair of elements of the first two operands.
  @inline(__always)
  func map<T: BitwiseCopyable, R: BitwiseCopyable>(
    _ a: UnsafePointer<T>, _ b: UnsafePointer<T>, to result: UnsafeMutablePointer<R>, _ function: (T, T) -> R
  ) {
    let step = step
    switch (step.a, step.b) {
    case (0, _):
      forEachRun { count, start, operands in
        let x = a[operands.a]
        let y = b + operands.b
        let r = result + start
        for i in 0..<count { r[i] = function(x, y[i]) }
      }
    case (_, 0):
      forEachRun { count, start, operands in
        let x = a + operands.a
        let y = b[operands.b]
        let r = result + start
        for i in 0..<count { r[i] = function(x[i], y) }
      }
    default:
      forEachRun { count, start, operands in
        let x = a + operands.a
        let y = b + operands.b
        let r = result + start
        for i in 0..<count { r[i] = function(x[i], y[i]) }
      }
    }
  }
}
