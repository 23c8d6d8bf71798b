import MartletCore

/// Products of row-major matrices with a fixed order of summation.
///
/// Every element is the sum of its products in the order of the inner dimension, starting from 0 and without fused
/// multiplication, whatever block of rows or columns it is computed in. So a row's result has the same bits in every
/// batch. Blocks keep sums in registers and give the processor independent chains of additions.
enum MatrixProduct {
  /// Writes `a` `[rows, depth]` times `b` `[depth, columns]` to `c` `[rows, columns]`.
  static func multiply(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ c: UnsafeMutablePointer<Float>, rows: Int, depth: Int,
    columns: Int
  ) {
    realProduct(a, b, c, rows, depth, columns, SIMD8<Float>.self)
  }

  /// The same for 64-bit numbers.
  static func multiply(
    _ a: UnsafePointer<Double>, _ b: UnsafePointer<Double>, _ c: UnsafeMutablePointer<Double>, rows: Int, depth: Int,
    columns: Int
  ) {
    realProduct(a, b, c, rows, depth, columns, SIMD4<Double>.self)
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

  @inline(__always)
  private static func realProduct<T: FloatElement, Vector: SIMD & BitwiseCopyable>(
    _ a: UnsafePointer<T>, _ b: UnsafePointer<T>, _ c: UnsafeMutablePointer<T>, _ rows: Int, _ depth: Int,
    _ columns: Int, _: Vector.Type
  ) where Vector.Scalar == T {
    var row = 0
    while row + 4 <= rows {
      fourRows(a + row * depth, b, c + row * columns, depth, columns, Vector.self)
      row += 4
    }
    while row < rows {
      oneRow(a + row * depth, b, c + row * columns, depth, columns, Vector.self)
      row += 1
    }
  }

  @inline(__always)
  private static func fourRows<T: FloatElement, Vector: SIMD & BitwiseCopyable>(
    _ a: UnsafePointer<T>, _ b: UnsafePointer<T>, _ c: UnsafeMutablePointer<T>, _ depth: Int, _ columns: Int,
    _: Vector.Type
  ) where Vector.Scalar == T {
    let a1 = a + depth
    let a2 = a1 + depth
    let a3 = a2 + depth
    var column = 0
    while column + Vector.scalarCount <= columns {
      var sum0 = Vector(repeating: 0)
      var sum1 = Vector(repeating: 0)
      var sum2 = Vector(repeating: 0)
      var sum3 = Vector(repeating: 0)
      var from = UnsafeRawPointer(b + column)
      for k in 0..<depth {
        let factors = from.loadUnaligned(as: Vector.self)
        sum0 = sum0 + factors * a[k]
        sum1 = sum1 + factors * a1[k]
        sum2 = sum2 + factors * a2[k]
        sum3 = sum3 + factors * a3[k]
        from += columns * MemoryLayout<T>.stride
      }
      let to = UnsafeMutableRawPointer(c + column)
      let stride = columns * MemoryLayout<T>.stride
      to.storeBytes(of: sum0, as: Vector.self)
      (to + stride).storeBytes(of: sum1, as: Vector.self)
      (to + 2 * stride).storeBytes(of: sum2, as: Vector.self)
      (to + 3 * stride).storeBytes(of: sum3, as: Vector.self)
      column += Vector.scalarCount
    }
    while column < columns {
      var sum0: T = 0
      var sum1: T = 0
      var sum2: T = 0
      var sum3: T = 0
      var from = b + column
      for k in 0..<depth {
        let factor = from.pointee
        sum0 = sum0 + factor * a[k]
        sum1 = sum1 + factor * a1[k]
        sum2 = sum2 + factor * a2[k]
        sum3 = sum3 + factor * a3[k]
        from += columns
      }
      c[column] = sum0
      c[columns + column] = sum1
      c[2 * columns + column] = sum2
      c[3 * columns + column] = sum3
      column += 1
    }
  }

  @inline(__always)
  private static func oneRow<T: FloatElement, Vector: SIMD & BitwiseCopyable>(
    _ a: UnsafePointer<T>, _ b: UnsafePointer<T>, _ c: UnsafeMutablePointer<T>, _ depth: Int, _ columns: Int,
    _: Vector.Type
  ) where Vector.Scalar == T {
    let width = Vector.scalarCount
    var column = 0
    while column + 2 * width <= columns {
      var sum0 = Vector(repeating: 0)
      var sum1 = Vector(repeating: 0)
      var from = UnsafeRawPointer(b + column)
      for k in 0..<depth {
        sum0 = sum0 + from.loadUnaligned(as: Vector.self) * a[k]
        sum1 = sum1 + (from + width * MemoryLayout<T>.stride).loadUnaligned(as: Vector.self) * a[k]
        from += columns * MemoryLayout<T>.stride
      }
      UnsafeMutableRawPointer(c + column).storeBytes(of: sum0, as: Vector.self)
      UnsafeMutableRawPointer(c + column + width).storeBytes(of: sum1, as: Vector.self)
      column += 2 * width
    }
    while column < columns {
      var sum: T = 0
      var from = b + column
      for k in 0..<depth {
        sum = sum + from.pointee * a[k]
        from += columns
      }
      c[column] = sum
      column += 1
    }
  }
}
