import MartletCore

/// A tensor as an operator sees it: a handle of a slot, valid until the operator's `run` returns.
///
/// Elements lie row-major without gaps. Inputs must not be written: they may be the caller's rows or constants of the
/// plan. Typed access is checked against the slot's type in debug builds only; operators check types when they are
/// planned or switch over `type`.
struct Tensor {
  let slot: UnsafeMutablePointer<TensorSlot>

  var type: ElementType { slot.pointee.type }
  var shape: Shape { slot.pointee.shape }
  var rank: Int { slot.pointee.shape.rank }
  var count: Int { slot.pointee.shape.elements }
  var bytes: UnsafeMutableRawPointer { slot.pointee.base }
  var byteCount: Int { count * type.byteWidth }

  /// Size of dimension `index`, which is in `0..<rank`.
  func dim(_ index: Int) -> Int { slot.pointee.shape[index] }

  /// The elements as `T`, whose size is that of the tensor's type.
  func pointer<T: BitwiseCopyable>(as type: T.Type = T.self) -> UnsafeMutablePointer<T> {
    assert(MemoryLayout<T>.stride == self.type.byteWidth)
    return slot.pointee.base.assumingMemoryBound(to: T.self)
  }

  var floats: UnsafeMutablePointer<Float> { pointer() }
  var doubles: UnsafeMutablePointer<Double> { pointer() }
  var integers: UnsafeMutablePointer<Int64> { pointer() }
  var texts: UnsafeMutablePointer<TextRef> { pointer() }
  /// Elements of a `bool` tensor: 0 or 1.
  var bools: UnsafeMutablePointer<UInt8> { pointer() }
}
