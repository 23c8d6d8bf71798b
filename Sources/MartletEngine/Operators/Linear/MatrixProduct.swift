import CKernels
import MartletCore

/// Products of row-major matrices with a fixed order of summation.
///
/// Every element is the sum of its products in the order of the inner dimension by fused multiply-adds, whatever block
/// of rows or columns it is computed in. So a row's result has the same bits in every batch; they are those of ONNX
/// Runtime's kernels, which matters where a difference of nearly equal numbers follows (distances of k-means).
enum MatrixProduct {
  /// Writes alpha times `a` `[rows, depth]` times `b` `[depth, columns]` to `c` `[rows, columns]`, or adds it to `c`.
  static func multiply(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ c: UnsafeMutablePointer<Float>, rows: Int, depth: Int,
    columns: Int, alpha: Float = 1, accumulates: Bool = false
  ) {
    martlet_product_float(
      a, b, c, rows, depth, columns, part(depth: depth, columns: columns), alpha, accumulates)
  }

  /// The same for 64-bit numbers.
  static func multiply(
    _ a: UnsafePointer<Double>, _ b: UnsafePointer<Double>, _ c: UnsafeMutablePointer<Double>, rows: Int, depth: Int,
    columns: Int, alpha: Double = 1, accumulates: Bool = false
  ) {
    martlet_product_double(
      a, b, c, rows, depth, columns, part(depth: depth, columns: columns), alpha, accumulates)
  }

  /// How many products ONNX Runtime sums before it adds them to the element: more where there are few columns.
  static func part(depth: Int, columns: Int) -> Int {
    var part = 128
    var width = 128
    while columns < depth, width > 16, width / 2 >= columns {
      width /= 2
      part *= 2
    }
    return part
  }

  /// The same for whole numbers, which wrap around.
  static func multiply<T: FixedWidthInteger & BitwiseCopyable>(
    _ a: UnsafePointer<T>, _ b: UnsafePointer<T>, _ c: UnsafeMutablePointer<T>, rows: Int, depth: Int, columns: Int
  ) {
    for row in 0..<rows {
      let to = c + row * columns
      to.update(repeating: 0, count: columns)
      for k in 0..<depth {
        let factor = a[row * depth + k]
        let from = b + k * columns
        for column in 0..<columns { to[column] &+= factor &* from[column] }
      }
    }
  }

  /// Writes the transpose of `a` `[rows, columns]` to `b` `[columns, rows]`.
  static func transpose<T: BitwiseCopyable>(
    _ a: UnsafePointer<T>, _ b: UnsafeMutablePointer<T>, rows: Int, columns: Int
  ) {
    for row in 0..<rows {
      for column in 0..<columns { b[column * rows + row] = a[row * columns + column] }
    }
  }

  /// The same for elements of `type`, float32 or float64.
  static func transpose(
    _ from: UnsafeRawPointer, _ to: UnsafeMutableRawPointer, _ type: ElementType, rows: Int, columns: Int
  ) {
    if type == .float32 {
      transpose(
        from.assumingMemoryBound(to: UInt32.self), to.assumingMemoryBound(to: UInt32.self), rows: rows,
        columns: columns)
    } else {
      transpose(
        from.assumingMemoryBound(to: UInt64.self), to.assumingMemoryBound(to: UInt64.self), rows: rows,
        columns: columns)
    }
  }
}
