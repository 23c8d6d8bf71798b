import MartletCore

/// A tensor of a model file: immutable, owns its bytes, and its texts where its elements are texts.
///
/// `@unchecked Sendable`: written by its initializer only.
public final class ConstantTensor: @unchecked Sendable {
  public let type: ElementType
  public let shape: Shape
  /// Elements.
  public let count: Int
  let memory: UnsafeMutableRawPointer
  private let heap: UnsafeMutableRawPointer?

  private init(type: ElementType, shape: Shape, memory: UnsafeMutableRawPointer, heap: UnsafeMutableRawPointer?) {
    self.type = type
    self.shape = shape
    self.count = shape.elements
    self.memory = memory
    self.heap = heap
  }

  deinit {
    memory.deallocate()
    heap?.deallocate()
  }

  /// A tensor of numbers or truth values whose zeroed memory `fill` completes.
  ///
  /// Precondition: `type` is not `text`; the caller has bounded the size by what the file holds.
  public convenience init<Failure: Error>(
    _ type: ElementType, _ shape: Shape, fill: (UnsafeMutableRawBufferPointer) throws(Failure) -> Void
  ) throws(Failure) {
    precondition(type != .text)
    let bytes = shape.elements * type.byteWidth
    let memory = UnsafeMutableRawPointer.allocate(byteCount: max(bytes, 16), alignment: 64)
    memory.initializeMemory(as: UInt8.self, repeating: 0, count: max(bytes, 16))
    do {
      try fill(UnsafeMutableRawBufferPointer(start: memory, count: bytes))
    } catch {
      memory.deallocate()
      throw error
    }
    self.init(type: type, shape: shape, memory: memory, heap: nil)
  }

  /// A tensor of numbers; `values.count` is the shape's number of elements and `T` has the width of `type`.
  public convenience init<T: BitwiseCopyable>(_ type: ElementType, _ shape: Shape, _ values: [T]) {
    precondition(values.count == shape.elements && MemoryLayout<T>.stride == type.byteWidth)
    self.init(type, shape) { (bytes: UnsafeMutableRawBufferPointer) in
      values.withUnsafeBytes { bytes.copyMemory(from: $0) }
    }
  }

  /// Takes over the memory of texts: references, and the bytes that they point into.
  convenience init(texts memory: UnsafeMutableRawPointer, heap: UnsafeMutableRawPointer, _ shape: Shape) {
    self.init(type: .text, shape: shape, memory: memory, heap: heap)
  }

  /// A copy of the elements at `start`, and of the texts they refer to.
  convenience init(copying type: ElementType, _ shape: Shape, from start: UnsafeRawPointer) {
    guard type == .text else {
      self.init(type, shape) { (bytes: UnsafeMutableRawBufferPointer) in
        bytes.copyMemory(from: UnsafeRawBufferPointer(start: start, count: bytes.count))
      }
      return
    }
    let texts = UnsafeBufferPointer(start: start.assumingMemoryBound(to: TextRef.self), count: shape.elements)
    var builder = TextTensorBuilder(count: texts.count, bytes: texts.reduce(0) { $0 + $1.count })
    for text in texts { builder.append(UnsafeRawBufferPointer(text.bytes)) }
    // A class cannot delegate to the tensor that the builder makes; it takes over the memory instead.
    let (memory, heap) = builder.release()
    self.init(texts: memory, heap: heap, shape)
  }

  /// A vector of texts.
  public convenience init(strings: [String]) { self.init(strings: strings, Shape(strings.count)) }

  /// A tensor of texts; there are as many as the shape has elements.
  public convenience init(strings: [String], _ shape: Shape) {
    precondition(strings.count == shape.elements)
    var builder = TextTensorBuilder(count: strings.count, bytes: strings.reduce(0) { $0 + $1.utf8.count })
    for string in strings {
      var copy = string
      copy.withUTF8 { builder.append(UnsafeRawBufferPointer($0)) }
    }
    let (memory, heap) = builder.release()
    self.init(texts: memory, heap: heap, shape)
  }

  /// The elements as `T`; valid while the tensor lives.
  ///
  /// Precondition: `T` has the width of the tensor's type.
  func pointer<T: BitwiseCopyable>(as type: T.Type = T.self) -> UnsafePointer<T> {
    precondition(MemoryLayout<T>.stride == self.type.byteWidth)
    return UnsafePointer(memory.assumingMemoryBound(to: T.self))
  }

  /// The elements copied into an array of `T`, which has the width of the tensor's type.
  public func array<T: BitwiseCopyable>(of type: T.Type = T.self) -> [T] {
    Array(UnsafeBufferPointer(start: pointer(as: T.self), count: count))
  }

  /// The elements of a text tensor.
  public var strings: [String] { array(of: TextRef.self).map(\.string) }

  /// The elements of a tensor of any whole-number type as 64-bit integers, or nil for another type.
  public var integers: [Int64]? {
    switch type {
    case .int64: array(of: Int64.self)
    case .int32: array(of: Int32.self).map(Int64.init)
    case .int16: array(of: Int16.self).map(Int64.init)
    case .int8: array(of: Int8.self).map(Int64.init)
    case .uint8, .bool: array(of: UInt8.self).map(Int64.init)
    case .uint16: array(of: UInt16.self).map(Int64.init)
    case .uint32: array(of: UInt32.self).map(Int64.init)
    case .uint64: array(of: UInt64.self).map { Int64(clamping: $0) }
    case .float16, .float32, .float64, .text: nil
    }
  }
}
