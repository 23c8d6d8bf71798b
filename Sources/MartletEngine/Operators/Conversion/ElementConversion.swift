import MartletCore

/// Converts numbers between all types, by way of a small block of the widest type of their kind.
///
/// Two short loops for each pair of types instead of one: twelve ways to read and twelve to write make all pairs.
enum ElementConversion {
  /// As many as lie on the stack: memory of more than 1,024 bytes would come from the heap.
  private static let blockElements = 128

  /// Converts `count` elements; neither type is `text`.
  static func convert(
    _ from: UnsafeRawPointer, _ source: ElementType, to: UnsafeMutableRawPointer, _ target: ElementType, count: Int
  ) {
    var start = 0
    if source == .float32 || source == .float64 || source == .float16 {
      withUnsafeTemporaryAllocation(of: Double.self, capacity: blockElements) { block in
        let reals = block.baseAddress.unsafelyUnwrapped
        while start < count {
          let length = min(blockElements, count - start)
          read(from + start * source.byteWidth, source, reals, length)
          write(reals, to + start * target.byteWidth, target, length)
          start += length
        }
      }
    } else {
      withUnsafeTemporaryAllocation(of: Int64.self, capacity: blockElements) { block in
        let integers = block.baseAddress.unsafelyUnwrapped
        while start < count {
          let length = min(blockElements, count - start)
          read(from + start * source.byteWidth, source, integers, length)
          write(integers, to + start * target.byteWidth, target, length, unsigned: source == .uint64)
          start += length
        }
      }
    }
  }

  private static func read(
    _ from: UnsafeRawPointer, _ type: ElementType, _ to: UnsafeMutablePointer<Double>, _ count: Int
  ) {
    switch type {
    case .float32: map(from, Float.self, to, count) { Double($0) }
    case .float16: map(from, Float16.self, to, count) { Double($0) }
    default: map(from, Double.self, to, count) { $0 }
    }
  }

  private static func read(
    _ from: UnsafeRawPointer, _ type: ElementType, _ to: UnsafeMutablePointer<Int64>, _ count: Int
  ) {
    switch type {
    case .int32: map(from, Int32.self, to, count) { Int64($0) }
    case .int16: map(from, Int16.self, to, count) { Int64($0) }
    case .int8: map(from, Int8.self, to, count) { Int64($0) }
    case .uint32: map(from, UInt32.self, to, count) { Int64($0) }
    case .uint16: map(from, UInt16.self, to, count) { Int64($0) }
    case .uint8, .bool: map(from, UInt8.self, to, count) { Int64($0) }
    default: map(from, Int64.self, to, count) { $0 }
    }
  }

  private static func write(
    _ from: UnsafePointer<Double>, _ to: UnsafeMutableRawPointer, _ type: ElementType, _ count: Int
  ) {
    switch type {
    case .float64: map(from, Double.self, to.assumingMemoryBound(to: Double.self), count) { $0 }
    case .float32: map(from, Double.self, to.assumingMemoryBound(to: Float.self), count) { Float($0) }
    // Rounded to 32 bits first, as ONNX Runtime does.
    case .float16: map(from, Double.self, to.assumingMemoryBound(to: Float16.self), count) { Float16(Float($0)) }
    case .int64: map(from, Double.self, to.assumingMemoryBound(to: Int64.self), count) { Int64(converting: $0) }
    case .int32: map(from, Double.self, to.assumingMemoryBound(to: Int32.self), count) { Int32(converting: $0) }
    case .int16: map(from, Double.self, to.assumingMemoryBound(to: Int16.self), count) { Int16(converting: $0) }
    case .int8: map(from, Double.self, to.assumingMemoryBound(to: Int8.self), count) { Int8(converting: $0) }
    case .uint64: map(from, Double.self, to.assumingMemoryBound(to: UInt64.self), count) { UInt64(converting: $0) }
    case .uint32: map(from, Double.self, to.assumingMemoryBound(to: UInt32.self), count) { UInt32(converting: $0) }
    case .uint16: map(from, Double.self, to.assumingMemoryBound(to: UInt16.self), count) { UInt16(converting: $0) }
    case .uint8: map(from, Double.self, to.assumingMemoryBound(to: UInt8.self), count) { UInt8(converting: $0) }
    case .bool: map(from, Double.self, to.assumingMemoryBound(to: UInt8.self), count) { $0 != 0 ? 1 : 0 }
    case .text: break
    }
  }

  private static func write(
    _ from: UnsafePointer<Int64>, _ to: UnsafeMutableRawPointer, _ type: ElementType, _ count: Int, unsigned: Bool
  ) {
    switch type {
    case .float64:
      let result = to.assumingMemoryBound(to: Double.self)
      if unsigned {
        map(from, UInt64.self, result, count) { Double($0) }
      } else {
        map(from, Int64.self, result, count) { Double($0) }
      }
    case .float32:
      let result = to.assumingMemoryBound(to: Float.self)
      if unsigned {
        map(from, UInt64.self, result, count) { Float($0) }
      } else {
        map(from, Int64.self, result, count) { Float($0) }
      }
    case .float16:
      let result = to.assumingMemoryBound(to: Float16.self)
      if unsigned {
        map(from, UInt64.self, result, count) { Float16(Float($0)) }
      } else {
        map(from, Int64.self, result, count) { Float16(Float($0)) }
      }
    case .int64, .uint64: map(from, Int64.self, to.assumingMemoryBound(to: Int64.self), count) { $0 }
    case .int32, .uint32:
      map(from, Int64.self, to.assumingMemoryBound(to: Int32.self), count) { Int32(truncatingIfNeeded: $0) }
    case .int16, .uint16:
      map(from, Int64.self, to.assumingMemoryBound(to: Int16.self), count) { Int16(truncatingIfNeeded: $0) }
    case .int8, .uint8:
      map(from, Int64.self, to.assumingMemoryBound(to: Int8.self), count) { Int8(truncatingIfNeeded: $0) }
    case .bool: map(from, Int64.self, to.assumingMemoryBound(to: UInt8.self), count) { $0 != 0 ? 1 : 0 }
    case .text: break
    }
  }

  @inline(__always)
  private static func map<From: BitwiseCopyable, To: BitwiseCopyable>(
    _ from: UnsafeRawPointer, _: From.Type, _ to: UnsafeMutablePointer<To>, _ count: Int, _ convert: (From) -> To
  ) {
    let source = from.assumingMemoryBound(to: From.self)
    for i in 0..<count { to[i] = convert(source[i]) }
  }
}
