import MartletCore

/// Where one value of a plan lies during a call: plain old data, one per value in the plan's scratch.
///
/// Invariant: `base` addresses `shape.elements` initialized elements of `type` while the slot is filled. It is either
/// `buffer`, which the scratch owns and reuses over calls, or memory of somebody who outlives the call (an input of
/// the tile, a constant of the plan, another slot's buffer).
struct TensorSlot {
  var type: ElementType
  var shape: Shape
  var base: UnsafeMutableRawPointer
  /// Owned memory, nil until first needed; kept while `base` points elsewhere.
  var buffer: UnsafeMutableRawPointer?
  /// Bytes of `buffer`.
  var capacity: Int

  static var empty: TensorSlot {
    TensorSlot(type: .float32, shape: Shape(0), base: nowhere, buffer: nil, capacity: 0)
  }

  /// A valid address for tensors without elements.
  private static var nowhere: UnsafeMutableRawPointer { UnsafeMutableRawPointer(bitPattern: 64)! }

  /// Makes the slot a tensor of `type` and `shape` in its own memory, whose contents are undefined.
  ///
  /// Grows the memory when needed, otherwise allocates nothing.
  mutating func reserve(_ type: ElementType, _ shape: Shape) {
    let bytes = shape.elements * type.byteWidth
    let growth = growth(for: bytes)
    if growth > 0 {
      buffer?.deallocate()
      capacity += growth
      buffer = .allocate(byteCount: capacity, alignment: 64)
    }
    self.type = type
    self.shape = shape
    base = buffer.unsafelyUnwrapped
  }

  /// By how much the owned memory has to grow to hold `bytes`.
  ///
  /// Half as much again as needed, so that growing batches do not allocate at every call; 256 are four cache lines.
  func growth(for bytes: Int) -> Int {
    bytes <= capacity && capacity > 0 ? 0 : max(bytes + bytes / 2, 256) - capacity
  }

  /// Makes the slot a view of memory that outlives the call.
  mutating func alias(_ type: ElementType, _ shape: Shape, at start: UnsafeMutableRawPointer) {
    self.type = type
    self.shape = shape
    base = start
  }

  mutating func free() {
    buffer?.deallocate()
    buffer = nil
    capacity = 0
  }
}
