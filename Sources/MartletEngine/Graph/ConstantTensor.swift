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

  /// A tensor of texts, copied from where `texts` point.
  public convenience init(texts: [TextRef], _ shape: Shape) {
    precondition(texts.count == shape.elements)
    let memory = UnsafeMutableRawPointer.allocate(
      byteCount: max(16, texts.count * MemoryLayout<TextRef>.stride), alignment: 64)
    let heap = UnsafeMutableRawPointer.allocate(byteCount: max(1, texts.reduce(0) { $0 + $1.count }), alignment: 16)
    var end = heap
    let elements = memory.bindMemory(to: TextRef.self, capacity: texts.count)
    for (index, text) in texts.enumerated() {
      var copy = TextRef.empty
      if text.count > 0, let start = text.start {
        end.copyMemory(from: start, byteCount: text.count)
        copy = TextRef(start: UnsafePointer(end.assumingMemoryBound(to: UInt8.self)), count: text.count)
        end += text.count
      }
      elements.advanced(by: index).initialize(to: copy)
    }
    self.init(type: .text, shape: shape, memory: memory, heap: heap)
  }

  /// A vector of texts.
  public convenience init(strings: [String]) {
    let bytes = strings.flatMap { Array($0.utf8) }
    self.init(concatenated: bytes, lengths: strings.map(\.utf8.count), Shape(strings.count))
  }

  /// Texts that lie one behind the other in `concatenated`.
  public convenience init(concatenated: [UInt8], lengths: [Int], _ shape: Shape) {
    precondition(lengths.count == shape.elements && lengths.reduce(0, +) == concatenated.count)
    let memory = UnsafeMutableRawPointer.allocate(
      byteCount: max(16, lengths.count * MemoryLayout<TextRef>.stride), alignment: 64)
    let heap = UnsafeMutableRawPointer.allocate(byteCount: max(1, concatenated.count), alignment: 16)
    concatenated.withUnsafeBytes { bytes in
      if let start = bytes.baseAddress { heap.copyMemory(from: start, byteCount: bytes.count) }
    }
    let elements = memory.bindMemory(to: TextRef.self, capacity: lengths.count)
    var end = heap.assumingMemoryBound(to: UInt8.self)
    for (index, length) in lengths.enumerated() {
      let text = length == 0 ? TextRef.empty : TextRef(start: UnsafePointer(end), count: length)
      elements.advanced(by: index).initialize(to: text)
      end += length
    }
    self.init(type: .text, shape: shape, memory: memory, heap: heap)
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
